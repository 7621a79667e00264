// SPDX-License-Identifier: MIT
/** @file
 * The whole public interface. */
#ifndef SVMEMU_SVMEMU_H
#define SVMEMU_SVMEMU_H

#include <svmemu/cpu.h>
#include <svmemu/machine.h>
#include <svmemu/pci.h>
#include <svmemu/status.h>
#include <svmemu/svm.h>
#include <svmemu/trace.h>
#include <svmemu/version.h>

#endif

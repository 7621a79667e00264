// SPDX-License-Identifier: MIT
// The machine for an operating system: power-off, one PCI bus with its interrupt routing, the HPET.
// Places and numbers agree with pci.h, piix.c, hpet.h and pmtimer.h.
DefinitionBlock ("", "DSDT", 2, "SVMEMU", "SVMEMUPC", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Name (PICF, 0)                      // 1: the I/O APIC is used
    Method (\_PIC, 1) { PICF = Arg0 }

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xFF, 0, 0x100)
                IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0, 0xCF7, 0, 0xCF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0xD00, 0xFFFF, 0, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite, 0, 0xA0000, 0xBFFFF, 0, 0x20000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0, 0xF0000000, 0xFEBFFFFF, 0,
                    0xEC00000)
            })

            // Pin p of device d is PIRQ (d + p - 1) mod 4: pins 16 to 19 of the I/O APIC, or what the router says.
            Method (_PRT, 0)
            {
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = (Local2 + Local1 + 3) & 3
                    If (PICF) { Local4 = Package () { 0, 0, 0, 0 } Local4 [3] = 16 + Local3 }
                    ElseIf (Local3 == 0) { Local4 = Package () { 0, 0, LNKA, 0 } }
                    ElseIf (Local3 == 1) { Local4 = Package () { 0, 0, LNKB, 0 } }
                    ElseIf (Local3 == 2) { Local4 = Package () { 0, 0, LNKC, 0 } }
                    Else { Local4 = Package () { 0, 0, LNKD, 0 } }
                    Local4 [0] = (Local2 << 16) | 0xFFFF
                    Local4 [1] = Local1 & 3
                    Local0 [Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PRR, PCI_Config, 0x60, 4)
                Field (PRR, ByteAcc, NoLock, Preserve) { PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8 }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1)
                        IO (Decode16, 0x64, 0x64, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }

                // The controller's second port. No mouse is plugged into it.
                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }
            }
        }

        Name (LPRS, ResourceTemplate () { IRQ (Level, ActiveHigh, Shared) { 5, 10, 11 } })
        Name (LBUF, ResourceTemplate () { IRQ (Level, ActiveHigh, Shared, IRQX) { 5 } })
        CreateWordField (LBUF, IRQX._INT, LINT)
        Method (LCRS, 1)
        {
            If (Arg0 & 0x80) { LINT = 0 }
            Else { LINT = 1 << (Arg0 & 0x0F) }
            Return (LBUF)
        }
        Method (LSTA, 1)
        {
            If (Arg0 & 0x80) { Return (0x09) }
            Return (0x0B)
        }
        Method (LSRS, 1)
        {
            CreateWordField (Arg0, 1, MASK)
            FindSetRightBit (MASK, Local0)
            Return (Local0 - 1)
        }

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQA)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQA |= 0x80 }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS, 0, Serialized) { Return (LCRS (\_SB.PCI0.ISA.PRQA)) }
            Method (_SRS, 1) { \_SB.PCI0.ISA.PRQA = LSRS (Arg0) }
        }
        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQB)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQB |= 0x80 }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS, 0, Serialized) { Return (LCRS (\_SB.PCI0.ISA.PRQB)) }
            Method (_SRS, 1) { \_SB.PCI0.ISA.PRQB = LSRS (Arg0) }
        }
        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQC)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQC |= 0x80 }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS, 0, Serialized) { Return (LCRS (\_SB.PCI0.ISA.PRQC)) }
            Method (_SRS, 1) { \_SB.PCI0.ISA.PRQC = LSRS (Arg0) }
        }
        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Method (_STA) { Return (LSTA (\_SB.PCI0.ISA.PRQD)) }
            Method (_DIS) { \_SB.PCI0.ISA.PRQD |= 0x80 }
            Method (_PRS) { Return (LPRS) }
            Method (_CRS, 0, Serialized) { Return (LCRS (\_SB.PCI0.ISA.PRQD)) }
            Method (_SRS, 1) { \_SB.PCI0.ISA.PRQD = LSRS (Arg0) }
        }

        Device (MCFG)                   // memory-mapped configuration space must be claimed by somebody [PCI FW 3.0 4.1.2]
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadWrite, 0xE0000000, 0x10000000) })
        }

        Device (FWCF)                   // [QEMU docs/specs/fw_cfg, ACPI interface]
        {
            Name (_HID, "QEMU0002")
            Name (_STA, 0x0B)
            Name (_CRS, ResourceTemplate () { IO (Decode16, 0x510, 0x510, 1, 12) })
        }

        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadOnly, 0xFED00000, 0x400) })
        }
    }
}

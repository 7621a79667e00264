// SPDX-License-Identifier: MIT
/* Machines share nothing: several at once, one thread each, end as one alone does; and a stop may be asked for from another thread. Under the
 * thread sanitizer (preset tsan) this shows that nothing in the library is shared by accident. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <svmemu/svmemu.h>

enum { THREADS = 4, ROUNDS = 2 };
static const char *const guests[] = { "hello64", "npt", "inject", "realmode" };

struct job {
    const char *guest;
    uint64_t hash, insns;
    enum svmemu_status status;
    enum svmemu_stop_reason reason;
};

static void *run_job(void *arg)
{
    struct job *j = arg;
    struct svmemu_config c = { .memory = 32 << 20, .flags = SVMEMU_PC | SVMEMU_EXIT_PORT };
    struct svmemu *m;
    struct svmemu_stop stop = { 0 };
    char path[512];
    snprintf(path, sizeof(path), "%s/guests/%s.elf", SVMEMU_BINARY_DIR, j->guest);
    j->status = svmemu_create(&c, &m);
    if (j->status != SVMEMU_OK)
        return NULL;
    j->status = svmemu_load_file(m, path, NULL);
    if (j->status == SVMEMU_OK)
        j->status = svmemu_run(m, 50000000, SVMEMU_NO_LIMIT, &stop);
    j->reason = stop.reason;
    j->insns = stop.insns;
    j->hash = svmemu_state_hash(m);
    svmemu_destroy(m);
    return NULL;
}

static void test_together(void **state)
{
    (void)state;
    for (unsigned g = 0; g < sizeof(guests) / sizeof(guests[0]); g++) {
        struct job alone = { .guest = guests[g] };
        run_job(&alone);
        assert_int_equal(alone.status, SVMEMU_OK);
        assert_int_equal(alone.reason, SVMEMU_STOP_EXIT);
        for (unsigned r = 0; r < ROUNDS; r++) {
            struct job jobs[THREADS];
            pthread_t threads[THREADS];
            for (unsigned i = 0; i < THREADS; i++) { /* half of them run another guest */
                jobs[i] = (struct job){ .guest = guests[i % 2 ? g : (g + r + 1) % 4] };
                assert_int_equal(pthread_create(&threads[i], NULL, run_job, &jobs[i]), 0);
            }
            for (unsigned i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
            for (unsigned i = 1; i < THREADS; i += 2) {
                assert_int_equal(jobs[i].status, SVMEMU_OK);
                assert_int_equal(jobs[i].insns, alone.insns);
                assert_int_equal(jobs[i].hash, alone.hash);
            }
        }
    }
}

static void *stopper(void *arg)
{
    svmemu_request_stop(arg);
    return NULL;
}

/* JMP to itself: only the request ends it, whether it comes before the run or during it. */
static void test_stop_request(void **state)
{
    struct svmemu_config c = { .memory = 1 << 20 };
    struct svmemu *m;
    (void)state;
    assert_int_equal(svmemu_create(&c, &m), SVMEMU_OK);
    assert_int_equal(svmemu_mem_write(m, 0x8000, "\xEB\xFE", 2), SVMEMU_OK);
    assert_int_equal(svmemu_set_mode(m, 0, 32, 0), SVMEMU_OK);
    assert_int_equal(svmemu_reg_write(m, 0, "rip", 0x8000), SVMEMU_OK);
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct svmemu_stop stop;
        pthread_t t;
        assert_int_equal(pthread_create(&t, NULL, stopper, m), 0);
        assert_int_equal(svmemu_run(m, SVMEMU_NO_LIMIT, SVMEMU_NO_LIMIT, &stop), SVMEMU_OK);
        assert_int_equal(stop.reason, SVMEMU_STOP_REQUEST);
        assert_int_equal(pthread_join(t, NULL), 0);
    }
    svmemu_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_together), cmocka_unit_test(test_stop_request) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

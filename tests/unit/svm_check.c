// SPDX-License-Identifier: MIT
/* VMCB layout by the manual's numbers, each consistency check alone from a valid VMCB, field access, exit text. */
#include "svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static u64 features[FEAT_WORDS];
static union vmcb v;
static struct svm_check_in in;
static struct cpu_state host; /* SYSCFG, HWCR and U_CET are zero */

static int setup(void **state)
{
    (void)state;
    static const u16 have[] = {FEAT_NP, FEAT_FLUSHBYASID, FEAT_VNMI, FEAT_NRIPS, FEAT_LM, FEAT_SSSCHECK};
    memset(features, 0, sizeof features);
    for (unsigned i = 0; i < ARRAY_LEN(have); i++)
        features[have[i] >> 6] |= 1ull << (have[i] & 63);
    memset(&v, 0, sizeof v);
    v.icpt_misc2 = 1;
    v.asid = 1;
    v.efer = EFER_SVME | EFER_LME | EFER_LMA;
    v.cr0 = CR0_PG | CR0_PE;
    v.cr4 = CR4_PAE;
    v.cs_attr = ATTR_L | ATTR_P;
    v.g_pat = 0x0007040600070406;
    in = (struct svm_check_in){.features = features,
                               .st = &host,
                               .hcr0 = CR0_PG | CR0_PE,
                               .hcr4 = CR4_PAE,
                               .hefer = EFER_LMA | EFER_LME | EFER_NXE,
                               .efer_legal = EFER_SVME | EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE,
                               .cr4_legal = 0x7FF | CR4_CET,
                               .maxphys = 48};
    return 0;
}

static void layout(void **state)
{
    (void)state;
#define AT(name, off, width)                                                                                           \
    assert_int_equal(offsetof(union vmcb, name), off);                                                                 \
    assert_int_equal(sizeof v.name, width)
    AT(icpt_cr, 0x00, 4);
    AT(icpt_dr, 0x04, 4);
    AT(icpt_exc, 0x08, 4);
    AT(icpt_misc1, 0x0C, 4);
    AT(icpt_misc2, 0x10, 4);
    AT(icpt_misc3, 0x14, 4);
    AT(pause_thresh, 0x3C, 2);
    AT(pause_count, 0x3E, 2);
    AT(iopm_base, 0x40, 8);
    AT(msrpm_base, 0x48, 8);
    AT(tsc_offset, 0x50, 8);
    AT(asid, 0x58, 4);
    AT(tlb_control, 0x5C, 1);
    AT(int_ctl, 0x60, 4);
    AT(int_vector, 0x64, 1);
    AT(int_state, 0x68, 8);
    AT(exitcode, 0x70, 8);
    AT(exitinfo1, 0x78, 8);
    AT(exitinfo2, 0x80, 8);
    AT(exitintinfo, 0x88, 8);
    AT(np_ctl, 0x90, 8);
    AT(eventinj, 0xA8, 8);
    AT(n_cr3, 0xB0, 8);
    AT(virt_ext, 0xB8, 8);
    AT(clean, 0xC0, 4);
    AT(nrip, 0xC8, 8);
    AT(insn_len, 0xD0, 1);
    AT(insn_bytes, 0xD1, 15);
    AT(es_sel, 0x400, 2);
    AT(cs_attr, 0x412, 2);
    AT(ss_limit, 0x424, 4);
    AT(ds_base, 0x438, 8);
    AT(fs_sel, 0x440, 2);
    AT(gs_base, 0x458, 8);
    AT(gdtr_limit, 0x464, 4);
    AT(gdtr_base, 0x468, 8);
    AT(ldtr_sel, 0x470, 2);
    AT(idtr_base, 0x488, 8);
    AT(tr_base, 0x498, 8);
    AT(cpl, 0x4CB, 1);
    AT(efer, 0x4D0, 8);
    AT(cr4, 0x548, 8);
    AT(cr3, 0x550, 8);
    AT(cr0, 0x558, 8);
    AT(dr7, 0x560, 8);
    AT(dr6, 0x568, 8);
    AT(rflags, 0x570, 8);
    AT(rip, 0x578, 8);
    AT(rsp, 0x5D8, 8);
    AT(rax, 0x5F8, 8);
    AT(star, 0x600, 8);
    AT(kernel_gs_base, 0x620, 8);
    AT(sysenter_eip, 0x638, 8);
    AT(cr2, 0x640, 8);
    AT(g_pat, 0x668, 8);
    AT(dbgctl, 0x670, 8);
    AT(last_excp_to, 0x690, 8);
}

static void intercept_ids(void **state)
{
    (void)state;
    assert_int_equal(ICPT_INTR, 96);
    assert_int_equal(ICPT_SHUTDOWN, 127);
    assert_int_equal(ICPT_VMRUN, 128);
    assert_int_equal(ICPT_RDPRU, 142);
    assert_int_equal(ICPT_INVPCID, 162);
    assert_int_equal(VMEXIT_CPUID, 0x72);
    assert_int_equal(VMEXIT_MSR, 0x7C);
    assert_int_equal(VMEXIT_XSETBV, 0x8D);
    assert_int_equal(VMEXIT_NPF, 0x400);
#define ICPT(id, word, bit, code, name, ...)                                                                           \
    assert_int_equal(VMEXIT_##name, code);                                                                             \
    assert_int_equal((word)*32 + (bit), (code));
#include "svm/intercept.def"
#undef ICPT
}

static void valid_passes(void **state)
{
    (void)state;
    assert_int_equal(svm_check(&v, &in), 0);
}

static unsigned row_of(const char *id)
{
    for (unsigned i = 0; i < svm_check_count; i++)
        if (!strcmp(svm_checks[i].id, id))
            return i;
    fail_msg("no check %s", id);
    return 0;
}

/* Each case: one field value that must violate exactly one check (or none), with optional second value. */
struct one {
    const char *id, *field;
    u64 value;
    const char *field2;
    u64 value2;
};
static const struct one cases[] = {
    {"vmrun_intercept", "icpt_misc2", 0, NULL, 0},
    {"asid_zero", "asid", 0, NULL, 0},
    {NULL, "asid", 0xFFFFFFFF, NULL, 0},
    {"tlb_control", "tlb_control", 2, NULL, 0},
    {"tlb_control", "tlb_control", 9, NULL, 0},
    {NULL, "tlb_control", 1, NULL, 0},
    {NULL, "tlb_control", 3, NULL, 0},
    {NULL, "tlb_control", 7, NULL, 0},
    {NULL, "iopm_base", (1ull << 48) - 0x3000, NULL, 0},
    {NULL, "iopm_base", (1ull << 48) - 0x2001, NULL, 0},
    {"iopm_range", "iopm_base", (1ull << 48) - 0x2000, NULL, 0},
    {"iopm_range", "iopm_base", ~0ull, NULL, 0},
    {NULL, "msrpm_base", (1ull << 48) - 0x2000, NULL, 0},
    {"msrpm_range", "msrpm_base", (1ull << 48) - 0x1000, NULL, 0},
    {"eventinj_type", "eventinj", INJ_V | 0x100, NULL, 0},
    {"eventinj_type", "eventinj", INJ_V | 0x500, NULL, 0},
    {"eventinj_type", "eventinj", INJ_V | 0x600, NULL, 0},
    {"eventinj_type", "eventinj", INJ_V | 0x700, NULL, 0},
    {NULL, "eventinj", 0x700, NULL, 0},
    {NULL, "eventinj", INJ_V | 0x2FF, NULL, 0},
    {NULL, "eventinj", INJ_V | 0x4FF, NULL, 0},
    {"eventinj_vector", "eventinj", INJ_V | 0x302, NULL, 0},
    {"eventinj_vector", "eventinj", INJ_V | 0x320, NULL, 0},
    {NULL, "eventinj", INJ_V | 0x31F, NULL, 0},
    {"eventinj_mode", "eventinj", INJ_V | 0x305, NULL, 0},
    {"eventinj_mode", "eventinj", INJ_V | 0x304, NULL, 0},
    {NULL, "eventinj", INJ_V | 0x305, "cs_attr", ATTR_DB},
    {NULL, "np_enable", 1, NULL, 0},
    {"ncr3_mbz", "np_enable", 1, "n_cr3", 1ull << 48},
    {NULL, "n_cr3", ~0ull, NULL, 0},
    {"g_pat", "np_enable", 1, "g_pat", 2},
    {"g_pat", "np_enable", 1, "g_pat", 0x0300000000000000},
    {"g_pat", "np_enable", 1, "g_pat", 0x80},
    {NULL, "np_enable", 1, "g_pat", 0x0706050401000706},
    {NULL, "g_pat", 2, NULL, 0},
    {"sss_np", "sss_check_enable", 1, NULL, 0},
    {"vnmi_intercept", "v_nmi_enable", 1, NULL, 0},
    {NULL, "v_nmi_enable", 1, "icpt_misc1", 2},
    {NULL, "x2avic_enable", 1, NULL, 0}, /* the processor of this test has no AVIC */
    {"efer_svme", "efer", EFER_LME | EFER_LMA, NULL, 0},
    {"efer_mbz", "efer", EFER_SVME | 1ull << 63, NULL, 0},
    {"efer_mbz", "efer", EFER_SVME | 1ull << 9, NULL, 0},
    {"efer_mbz", "efer", EFER_SVME | EFER_TCE, NULL, 0},
    {NULL, "efer", EFER_SVME | 0xFE, NULL, 0},
    {"lme_pae", "cr4", 0, NULL, 0},
    {NULL, "cr4", 0, "efer", EFER_SVME},
    {"lme_pe", "cr0", CR0_PG, NULL, 0},
    {NULL, "cr0", CR0_PG, "efer", EFER_SVME},
    {"cs_l_d", "cs_attr", ATTR_L | ATTR_DB, NULL, 0},
    {NULL, "cs_attr", ATTR_L | ATTR_DB, "efer", EFER_SVME},
    {"cr0_cd_nw", "cr0", CR0_PG | CR0_PE | CR0_NW, NULL, 0},
    {NULL, "cr0", CR0_PG | CR0_PE | CR0_NW | CR0_CD, NULL, 0},
    {"cr0_high", "cr0", CR0_PG | CR0_PE | 1ull << 32, NULL, 0},
    {NULL, "cr0", CR0_PG | CR0_PE | 0xFFC0, NULL, 0},
    {"cr3_mbz", "cr3", 1ull << 48, NULL, 0},
    {"cr3_mbz", "cr3", 1ull << 63, NULL, 0},
    {NULL, "cr3", (1ull << 48) - 1, NULL, 0},
    {"cr4_mbz", "cr4", CR4_PAE | 1 << 11, NULL, 0},
    {"cr4_mbz", "cr4", CR4_PAE | 1ull << 40, NULL, 0},
    {"cet_wp", "cr4", CR4_PAE | CR4_CET, NULL, 0},
    {NULL, "cr4", CR4_PAE | CR4_CET, "cr0", CR0_PG | CR0_PE | CR0_WP},
    {"dr6_high", "dr6", 1ull << 32, NULL, 0},
    {"dr7_high", "dr7", 1ull << 32, NULL, 0},
    {NULL, "dr7", 0xFFFFFFFF, NULL, 0},
};

static void each_check(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        setup(state);
        const struct vmcb_field *f = vmcb_field_find(cases[i].field);
        assert_non_null(f);
        vmcb_field_set(&v, f, cases[i].value);
        if (cases[i].field2)
            vmcb_field_set(&v, vmcb_field_find(cases[i].field2), cases[i].value2);
        u64 want = cases[i].id ? 1ull << row_of(cases[i].id) : 0, got = svm_check(&v, &in);
        if (got != want)
            fail_msg("case %u (%s = %llx): got %llx, want %llx", i, cases[i].field, (unsigned long long)cases[i].value,
                     (unsigned long long)got, (unsigned long long)want);
    }
}

static void checks_by_environment(void **state)
{
    (void)state;
    v.np_ctl = 1;
    in.hcr0 = CR0_PE;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("np_host_paging"));
    in.hcr0 |= CR0_PG;
    v.np_ctl = NP_CTL_SSS;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("sss_np"));
    in.hefer &= ~EFER_NXE; /* tables without NX have no shadow stack pages */
    assert_int_equal(svm_check(&v, &in), 0);
    v.np_ctl = 1;
    in.hefer = 0; /* 32-bit host: only the low half of nCR3 is used */
    v.n_cr3 = ~0ull;
    assert_int_equal(svm_check(&v, &in), 0);
    v.np_ctl = 0;
    in.pdpte_bad = true;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("pdpte"));
    in.pdpte_bad = false;
    features[FEAT_FLUSHBYASID >> 6] &= ~(1ull << (FEAT_FLUSHBYASID & 63));
    v.tlb_control = 3;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("tlb_control"));
    v.tlb_control = 0;
    features[FEAT_AVIC >> 6] |= 1ull << (FEAT_AVIC & 63);
    features[FEAT_X2AVIC >> 6] |= 1ull << (FEAT_X2AVIC & 63);
    v.int_ctl = INT_CTL_X2AVIC;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("x2avic_avic"));
    v.int_ctl = INT_CTL_AVIC;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("avic_np"));
    v.np_ctl = 1;
    in.hefer = EFER_LMA;
    v.n_cr3 = 0;
    v.avic_physical_table = 256;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("avic_index"));
    v.avic_physical_table = 255;
    v.avic_backing_page = 1ull << 48;
    assert_int_equal(svm_check(&v, &in), 1ull << row_of("avic_pointer"));
}

static void fields(void **state)
{
    (void)state;
    const struct vmcb_field *f = vmcb_field_find("v_intr_prio");
    assert_non_null(f);
    vmcb_field_set(&v, f, 0x1F);
    assert_int_equal(v.int_ctl, 0xF0000);
    assert_int_equal(vmcb_field_get(&v, f), 15);
    assert_null(vmcb_field_find("no_such_field"));
    assert_null(vmcb_field_find(""));
    union vmcb w = v;
    assert_int_equal(vmcb_diff(&v, &w, NULL, NULL), 0);
    w.insn_bytes.b[14] = 1;
    w.rip = 5;
    assert_int_equal(vmcb_diff(&v, &w, NULL, NULL), 2);
    char text[8192], small[16];
    size_t n = vmcb_print(&w, true, text, sizeof text);
    assert_true(n < sizeof text);
    assert_non_null(strstr(text, "578 rip=5\n"));
    assert_int_equal(vmcb_print(&w, true, small, sizeof small), n);
    for (unsigned i = 0; i < vmcb_field_count; i++) { /* names are unique, parts lie inside their field */
        assert_ptr_equal(vmcb_field_find(vmcb_fields[i].name), &vmcb_fields[i]);
        assert_true(vmcb_fields[i].hi < 8 * vmcb_fields[i].width && vmcb_fields[i].lo <= vmcb_fields[i].hi);
    }
}

static void expect_text(struct svm_record r, const char *want)
{
    char buf[512];
    size_t n = svm_record_text(&r, buf, sizeof buf);
    assert_int_equal(n, strlen(buf));
    assert_string_equal(buf, want);
}

static void texts(void **state)
{
    (void)state;
    expect_text(
        (struct svm_record){.code = VMEXIT_IOIO, .info1 = 0x3F80249, .info2 = 0x1002, .rip = 0x1000, .nrip = 0x1002},
        "cpu0 0: #VMEXIT IOIO REP IN port 0x3f8 size 4 address size 64 next RIP 0x1002, rip 0x1000 nrip 0x1002");
    expect_text((struct svm_record){.code = VMEXIT_NPF,
                                    .info1 = 0x100000007,
                                    .info2 = 0x5123,
                                    .rip = 0x1000,
                                    .intinfo = INJ_V | INJ_EV | 0x30D | 8ull << 32},
                "cpu0 0: #VMEXIT NPF gpa 0x5123 error 0x100000007 present write user final-address, rip 0x1000, while "
                "delivering exception vector 13 error 0x8");
    expect_text((struct svm_record){.code = VMEXIT_EXCP14, .info1 = 2, .info2 = 0xdead, .rip = 4},
                "cpu0 0: #VMEXIT EXCP14 (#PF) address 0xdead error 0x2 write, rip 0x4");
    expect_text((struct svm_record){.code = VMEXIT_CR0_WRITE, .info1 = 1ull << 63 | 3},
                "cpu0 0: #VMEXIT CR0_WRITE MOV with RBX, rip 0");
    expect_text((struct svm_record){.code = VMEXIT_MSR, .info1 = 1, .rcx = 0xC0000080},
                "cpu0 0: #VMEXIT MSR WRMSR 0xc0000080, rip 0");
    expect_text((struct svm_record){.code = VMEXIT_INVALID_CODE}, "cpu0 0: #VMEXIT INVALID, rip 0");
    expect_text((struct svm_record){.code = 0x1234567890}, "cpu0 0: #VMEXIT code 0x1234567890, rip 0");
    expect_text((struct svm_record){.entry = true,
                                    .vmcb_pa = 0x4000,
                                    .asid = 7,
                                    .np = true,
                                    .rip = 1,
                                    .rsp = 2,
                                    .rax = 3,
                                    .eventinj = INJ_V | 0x430},
                "cpu0 0: VMRUN vmcb 0x4000 asid 7 nested, rip 0x1 rsp 0x2 rax 0x3, injecting INT n vector 48");
    for (u64 code = 0; code < 0x500; code++) { /* any code and any info print */
        char buf[64];
        struct svm_record r = {.code = code, .info1 = ~0ull, .info2 = ~0ull, .intinfo = ~0ull};
        svm_record_text(&r, buf, sizeof buf);
        if (svm_stat_index(code) != SVM_STAT_OTHER)
            assert_int_equal(svm_stat_code(svm_stat_index(code)), code);
    }
    assert_int_equal(svm_stat_index(VMEXIT_INVALID_CODE), SVM_STAT_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(layout, setup),
        cmocka_unit_test(intercept_ids),
        cmocka_unit_test_setup(valid_passes, setup),
        cmocka_unit_test_setup(each_check, setup),
        cmocka_unit_test_setup(checks_by_environment, setup),
        cmocka_unit_test_setup(fields, setup),
        cmocka_unit_test_setup(texts, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

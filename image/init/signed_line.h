// SPDX-License-Identifier: Apache-2.0
/*
 * What is not signed of the kernel's command line. Part of init.c, which is one program.
 *
 * The build puts the word with the root last. Firmware may add words behind it: systemd's stub takes strings of SMBIOS
 * ("io.systemd.stub.kernel-cmdline-extra", smbios-type-11(7)) with Secure Boot on, too, and no PCR that is judged has
 * them.
 */
static const char ROOT_WORD[] = "armillary.root=";

/* What stands behind the first word with the root; what is empty if that is the last one; NULL if there is none. */
static const char *behind_root(const char *line) {
    for (const char *at = line; *at;) {
        const char *next = at + strcspn(at, " \n");
        next += strspn(next, " \n");
        if (!strncmp(at, ROOT_WORD, sizeof ROOT_WORD - 1)) return next;
        at = next;
    }
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Which disk the firmware started us from, where several have the same image: its log in the TPM's memory has the device
 * path of the program that it measured. Part of init.c, which is one program.
 */
enum { GUID_TEXT = 36, DISK_NAME = 32 };

static const char FIRMWARE_LOG[] = "/sys/kernel/security/tpm0/binary_bios_measurements";

static void guid_text(const unsigned char *raw, char *text) {
    static const int order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *text++ = '-';
        text += sprintf(text, "%02x", raw[order[i]]);
    }
}

/* Where a disk is: the PCI functions that lead to it, device and function of each. */
struct place {
    int count;
    unsigned char pci[8][2];
};

/*
 * Where the firmware's log says that the disk is which has the partition it started us from: the device path of the
 * program that it measured, from the PCI root to the partition. 0 without a TPM, whose log that is, or on another bus.
 * TCG PC Client Platform Firmware Profile (UEFI_IMAGE_LOAD_EVENT), UEFI 2.10 section 10.3.
 */
static int started_place(const char *boot_guid, struct place *place) {
    static const unsigned char partition[] = {4, 1, 42, 0}, pci_root[] = {2, 1, 12, 0, 0xd0, 0x41, 3, 0x0a};
    static unsigned char log[1 << 18];
    char guid[GUID_TEXT + 1];
    int file = open(FIRMWARE_LOG, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = 0, more;
    while ((more = read(file, log + length, sizeof log - (size_t)length)) > 0) length += more;
    close(file);
    int found = 0;
    const unsigned char *root = NULL;
    for (ssize_t at = 0; at + 42 <= length; at++) {
        if (!memcmp(log + at, pci_root, sizeof pci_root)) root = log + at;
        if (!root || memcmp(log + at, partition, sizeof partition)) continue;
        guid_text(log + at + 24, guid);
        struct place seen = {0, {{0}}};
        const unsigned char *node = root;
        while (node < log + at && node[2] + 256 * node[3] >= 4) {
            if (node[0] == 1 && node[1] == 1 && seen.count < 8) {
                seen.pci[seen.count][0] = node[5];
                seen.pci[seen.count++][1] = node[4];
            }
            node += node[2] + 256 * node[3];
        }
        if (node != log + at || !seen.count || strcmp(guid, boot_guid)) continue;
        *place = seen;
        found = 1;
    }
    return found;
}

/* Whether a disk is at this place. */
static int lies_at(const char *disk, const struct place *place) {
    char path[64], target[512];
    snprintf(path, sizeof path, "/sys/block/%.*s", DISK_NAME, disk);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) return 0;
    target[length] = 0;
    int count = 0;
    for (char *part = strtok(target, "/"); part; part = strtok(NULL, "/")) {
        unsigned domain, bus, device, function;
        if (sscanf(part, "%4x:%2x:%2x.%1x", &domain, &bus, &device, &function) != 4) continue;
        if (count >= place->count || place->pci[count][0] != device || place->pci[count][1] != function) return 0;
        count++;
    }
    return count == place->count;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * Which disk we were started from, where several have the same image. UEFI firmware's log in the TPM's memory has the
 * device path of the program that it measured; U-Boot puts the device-tree node of its disk into /chosen
 * (device_image/uboot/source.py). Part of init.c, which is one program.
 */
enum { GUID_TEXT = 36, DISK_NAME = 32, NODE_NAME = 256 };

#ifndef SYS /* tests have one of their own */
#define SYS "/sys"
#endif
static const char FIRMWARE_LOG[] = SYS "/kernel/security/tpm0/binary_bios_measurements";
#define DEVICE_TREE SYS "/firmware/devicetree/base"

/* What the name of a slot's root partition begins with; the slot's letter follows. */
static const char ROOT_OF[] = "root-fs-";

/* Whether a partition is called as the root partition of a slot. */
static int is_root_of(const char *name, char slot) {
    size_t length = sizeof ROOT_OF - 1;
    return !strncmp(name, ROOT_OF, length) && name[length] == slot && !name[length + 1];
}

static void guid_text(const unsigned char *raw, char *text) {
    static const int order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *text++ = '-';
        text += sprintf(text, "%02x", raw[order[i]]);
    }
}

/* Where a disk is: below a node of the device tree, else at the PCI functions that lead to it, device and function. */
struct place {
    char node[NODE_NAME];
    int count;
    unsigned char pci[8][2];
};

/* Where U-Boot says that the disk is which it started us from; 0 where it says nothing. */
static int started_node(struct place *place) {
    int file = open(DEVICE_TREE "/chosen/armillary,disk", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    memset(place, 0, sizeof *place);
    ssize_t length = read(file, place->node, sizeof place->node - 1);
    close(file);
    return length > 1;
}

/* Whether a disk is one of the controller that a node of the device tree describes. */
static int lies_below(const char *disk, const char *node) {
    char path[PATH_MAX], target[PATH_MAX], found[PATH_MAX]; /* realpath(3) writes no more, and a checking one wants all */
    char link[PATH_MAX + 16], wanted[sizeof DEVICE_TREE + NODE_NAME];
    snprintf(path, sizeof path, SYS "/block/%.*s", DISK_NAME, disk);
    snprintf(wanted, sizeof wanted, DEVICE_TREE "%s", node);
    if (!realpath(path, target) || !realpath(wanted, found)) return 0;
    for (char *end; (end = strrchr(target, '/')) && end != target; *end = 0) {
        snprintf(link, sizeof link, "%s/of_node", target);
        if (realpath(link, path) && !strcmp(path, found)) return 1;
    }
    return 0;
}

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
        struct place seen = {{0}, 0, {{0}}};
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
    char path[512], target[512];
    if (*place->node) return lies_below(disk, place->node);
    snprintf(path, sizeof path, SYS "/block/%.*s", DISK_NAME, disk);
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

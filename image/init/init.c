// SPDX-License-Identifier: Apache-2.0
/*
 * The first program of the device image: it is all of the initial file system but the kernel's modules.
 *
 * It loads the modules, finds the slot it was started from, makes the verified device of that slot's root partition
 * with the root hash that the signed command line gives, mounts it, and becomes process 1 of the root file system.
 * It has no way to a shell: whatever fails, it prints one line on the console and restarts the machine, so that the
 * firmware takes the other slot.
 *
 * Words of the command line that it reads. All of it is signed together with this program, and no more is taken:
 *   armillary.root=HASH:SALT:BLOCKS   hex of the root hash, hex of the salt, data blocks of 4096 bytes
 *   armillary.slot=a|b                the slot, only where no firmware with EFI variables started us
 *
 * Specification: docs/concepts/device-image.md. Linux: Documentation/admin-guide/device-mapper/verity.rst,
 * include/uapi/linux/dm-ioctl.h; UEFI 2.10 section 5.3 (GPT); systemd's Boot Loader Interface (LoaderDevicePartUUID).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "signed_line.h"
#include "started_disk.h"

enum { BLOCK = 4096, SECTOR = 512, DISK_TRIES = 200, PLACE_TRIES = 40, OTHER_DISKS_AFTER = 4, DISKS = 64 };

#define EFI_VARIABLES "/sys/firmware/efi/efivars"
static const char LOADER_PARTITION[] =
    EFI_VARIABLES "/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
static const char BOOT_NEXT[] = EFI_VARIABLES "/BootNext-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/* The type of partitions that firmware starts from, as it stands in a partition table. */
static const unsigned char EFI_SYSTEM[16] = {0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11,
                                             0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b};
#define PYTHON "/usr/bin/python3.13"
#define START "armillary.device.machine.start"
#define ENVIRONMENT "PATH=/usr/bin:/usr/sbin", "LANG=C.UTF-8", "HOME=/"
static const unsigned long CLOSED = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/* One line on the console. */
static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("armillary: ", stdout);
    vprintf(format, values);
    putchar('\n');
    fflush(stdout);
    va_end(values);
}

/* One line on the console, then a restart: the firmware takes the other slot. */
static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("armillary: boot failed: ", stdout);
    vprintf(format, values);
    puts("; restarting into the other slot");
    fflush(stdout);
    va_end(values);
    sync();
    sleep(1); /* the console is slow, and a broken device must not restart too often */
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}

static void pause_ms(long milliseconds) {
    struct timespec wait = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static void mount_at(const char *kind, const char *path, unsigned long flags, const char *options, int needed) {
    mkdir(path, 0755);
    if (mount(kind, path, kind, flags, options) && errno != EBUSY && needed)
        fail("%s does not mount at %s: %s", kind, path, strerror(errno));
}

/* Reads a file of at most size - 1 bytes as text; -1 if it is not there. */
static ssize_t read_text(const char *path, char *text, size_t size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, text, size - 1);
    close(file);
    text[length < 0 ? 0 : length] = 0;
    return length;
}

/* Copies the value of a word of the command line; 0 if it is not there. */
static int word_of(const char *line, const char *name, char *value, size_t size) {
    size_t length = strlen(name);
    for (const char *at = line; *at; at += strcspn(at, " \n"), at += strspn(at, " \n"))
        if (!strncmp(at, name, length) && at[length] == '=') {
            size_t words = strcspn(at + length + 1, " \n");
            if (words >= size) fail("%s on the command line is too long", name);
            memcpy(value, at + length + 1, words);
            value[words] = 0;
            return 1;
        }
    return 0;
}

/* Loads a module; hardware that is not there is no failure. Returns whether there is such a module. */
static int load_module(const char *name) {
    char path[512];
    snprintf(path, sizeof path, "/modules/%s", name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    if (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST && errno != ENODEV)
        say("the module %s does not load: %s", name, strerror(errno));
    close(file);
    return 1;
}

/* Loads the modules that a list names, one a line. */
static void load_modules(const char *list) {
    static char order[16384];
    if (read_text(list, order, sizeof order) < 0) return; /* a kernel that has all within */
    for (char *name = strtok(order, "\n"); name; name = strtok(NULL, "\n"))
        if (!load_module(name)) fail("the module %s is missing", name);
}

/*
 * Begins to mount the firmware's variables, in a process of its own: the kernel asks the firmware for each of them, which
 * takes it longer than to load all modules. Returns the process to wait for; none where this one has done it.
 */
static pid_t begin_variables(void) {
    pid_t child = fork();
    if (child > 0) return child;
    load_module("efivarfs.ko"); /* a kernel of our own has it within */
    mount_at("efivarfs", EFI_VARIABLES, CLOSED, NULL, 0);
    if (!child) _exit(0);
    return 0;
}

/* The GUID of the partition that the firmware started us from, in lower case; 0 without EFI variables. */
static int started_from(char *guid) {
    unsigned char value[4 + 2 * (GUID_TEXT + 1)];
    int file = open(LOADER_PARTITION, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, value, sizeof value);
    close(file);
    if (length < 4 + 2 * GUID_TEXT) fail("LoaderDevicePartUUID has %zd bytes, expected %d", length, 4 + 2 * GUID_TEXT);
    for (int i = 0; i < GUID_TEXT; i++) guid[i] = (char)tolower(value[4 + 2 * i]);
    guid[GUID_TEXT] = 0;
    return 1;
}

/*
 * Looks into one disk's partition table: the slot that the partition belongs to that the firmware started, or the one
 * that was named, whose root partition it has to have. Partitions of slots are called as a boot component and the slot,
 * root-fs-a. 0 if it is another disk.
 */
static int slot_of(const char *disk, const char *boot_guid, char *slot) {
    static unsigned char table[128 * 128];
    unsigned char head[SECTOR];
    char path[300], guid[GUID_TEXT + 1], name[37];
    snprintf(path, sizeof path, "/dev/%s", disk);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    int found = 0;
    if (pread(file, head, SECTOR, SECTOR) == SECTOR && !memcmp(head, "EFI PART", 8) &&
        pread(file, table, sizeof table, 2 * SECTOR) == (ssize_t)sizeof table)
        for (int i = 0; i < 128 && !found; i++) {
            const unsigned char *entry = table + 128 * i;
            for (int j = 0; j < 36; j++) name[j] = (char)entry[56 + 2 * j];
            name[36] = 0;
            guid_text(entry + 16, guid);
            size_t length = strlen(name);
            int is_slot = length > 2 && name[length - 2] == '-' && (name[length - 1] == 'a' || name[length - 1] == 'b');
            if (!is_slot || (boot_guid ? strcmp(guid, boot_guid) : !is_root_of(name, *slot))) continue;
            *slot = name[length - 1];
            found = 1;
        }
    close(file);
    return found;
}

static int by_name(const void *one, const void *other) { return strcmp(one, other); }

/*
 * The disk that has the partition which the firmware started, or the root of the named slot; 0 if there is none yet. Disks
 * with the same image have the same GUIDs: the one at the place that was said is taken. Where none was said, or none of
 * them is there after a while, it is the first by name. One that U-Boot named is waited for: who puts in another must not
 * have it taken.
 */
static int choose_disk(const char *boot_guid, char *slot, const struct place *place, int is_late, char *chosen) {
    static char names[DISKS][DISK_NAME];
    char letter = *slot;
    int count = 0, matches = 0;
    DIR *disks = opendir("/sys/block");
    if (!disks) return 0;
    for (struct dirent *each; count < DISKS && (each = readdir(disks));)
        if (each->d_name[0] != '.' && strlen(each->d_name) < DISK_NAME) strcpy(names[count++], each->d_name);
    closedir(disks);
    qsort(names, (size_t)count, DISK_NAME, by_name);
    for (int i = 0; i < count; i++) {
        *slot = letter;
        if (!slot_of(names[i], boot_guid, slot)) continue;
        if (!matches++) strcpy(chosen, names[i]);
        if (!place || !lies_at(names[i], place)) continue;
        strcpy(chosen, names[i]);
        return 1;
    }
    if (!matches || (place && !is_late)) return 0;
    if (matches > 1) say("%d disks have the partition that was started, and no log says which; %s is taken", matches, chosen);
    *slot = letter;
    return slot_of(chosen, boot_guid, slot);
}

/* The GUID of the partition that the firmware starts the other slot from; 0 if the disk has no such slot. */
static int guid_of_other(const char *disk, char slot, unsigned char *guid) {
    static unsigned char table[128 * 128];
    char path[300];
    snprintf(path, sizeof path, "/dev/%s", disk);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = pread(file, table, sizeof table, 2 * SECTOR);
    close(file);
    for (int i = 0; length == (ssize_t)sizeof table && i < 128; i++) {
        const unsigned char *entry = table + 128 * i;
        int characters = 0;
        while (characters < 36 && (entry[56 + 2 * characters] || entry[57 + 2 * characters])) characters++;
        if (memcmp(entry, EFI_SYSTEM, 16) || characters < 3) continue;
        if (entry[56 + 2 * (characters - 1)] != (slot == 'a' ? 'b' : 'a')) continue;
        memcpy(guid, entry + 16, 16);
        return 1;
    }
    return 0;
}

/* Finds the partition of a name on a disk; 0 if there is none. Partitions say their names in uevent. */
static int partition_of(const char *disk, const char *wanted, char *device, size_t size) {
    char folder[300], path[700], text[1024], name[128];
    snprintf(folder, sizeof folder, "/sys/block/%s", disk);
    DIR *entries = opendir(folder);
    if (!entries) return 0;
    int found = 0;
    for (struct dirent *entry; !found && (entry = readdir(entries));) {
        if (strncmp(entry->d_name, disk, strlen(disk))) continue;
        snprintf(path, sizeof path, "%s/%s/uevent", folder, entry->d_name);
        if (read_text(path, text, sizeof text) > 0 && word_of(text, "PARTNAME", name, sizeof name) &&
            !strcmp(name, wanted)) {
            snprintf(device, size, "/dev/%s", entry->d_name);
            found = 1;
        }
    }
    closedir(entries);
    return found;
}

/*
 * Has the firmware start the other slot next, from now on until the device process runs: whatever stops in between leads
 * there. The boot entry is the one whose device path has the other slot's partition. Without one nothing is changed.
 */
static void name_other_slot(const char *disk, char slot) {
    static unsigned char entry[8192];
    unsigned char guid[16];
    char path[400];
    if (!guid_of_other(disk, slot, guid)) return;
    DIR *variables = opendir(EFI_VARIABLES);
    if (!variables) return;
    for (struct dirent *each; (each = readdir(variables));) {
        unsigned number;
        if (sscanf(each->d_name, "Boot%4X-8be4df61", &number) != 1) continue;
        snprintf(path, sizeof path, EFI_VARIABLES "/%s", each->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ssize_t length = read(file, entry, sizeof entry);
        close(file);
        if (length <= 0 || !memmem(entry, (size_t)length, guid, sizeof guid)) continue;
        const unsigned char next[] = {7, 0, 0, 0, (unsigned char)number, (unsigned char)(number >> 8)};
        file = open(BOOT_NEXT, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (file < 0 || write(file, next, sizeof next) != sizeof next)
            say("the firmware does not take the other slot as the next one: %s", strerror(errno));
        if (file >= 0) close(file);
        break;
    }
    closedir(variables);
}

/*
 * Waits for the disk with our slot: its root partition, that of the other slot (empty: there is none), its data partition,
 * and the slot's letter. Drivers of other kinds of disks are loaded where it does not come without them.
 */
static void find_slot(const char *line, char *slot, char *disk, char *root, char *other, char *data, size_t size) {
    char guid[GUID_TEXT + 1], value[8];
    int by_firmware = started_from(guid);
    if (!by_firmware) {
        if (!word_of(line, "armillary.slot", value, sizeof value))
            fail("neither EFI variables nor the command line say which slot this is");
        *slot = value[0];
    }
    for (int i = 0; i < DISK_TRIES; i++, pause_ms(50)) {
        char wanted[] = "root-fs-?", name[DISK_NAME];
        struct place place;
        if (i == OTHER_DISKS_AFTER) load_modules("/modules/later");
        int is_known = by_firmware ? started_place(guid, &place) : started_node(&place);
        int is_late = by_firmware && i >= PLACE_TRIES;
        if (!choose_disk(by_firmware ? guid : NULL, slot, is_known ? &place : NULL, is_late, name)) continue;
        wanted[sizeof wanted - 2] = *slot;
        if (!partition_of(name, wanted, root, size)) continue;
        wanted[sizeof wanted - 2] = *slot == 'a' ? 'b' : 'a';
        if (!partition_of(name, wanted, other, size)) *other = 0;
        if (!partition_of(name, "data", data, size)) *data = 0;
        snprintf(disk, size, "/dev/%s", name);
        if (by_firmware) name_other_slot(name, *slot);
        return;
    }
    struct place place;
    const char *where = !by_firmware && started_node(&place) ? place.node : "any";
    if (by_firmware) fail("no disk with the partition %s appeared within %d s", guid, DISK_TRIES / 20);
    fail("no disk with the partition %s%s at %s appeared within %d s", ROOT_OF, slot, where, DISK_TRIES / 20);
}

static void device_mapper(int control, unsigned long command, struct dm_ioctl *about, const char *what) {
    about->version[0] = DM_VERSION_MAJOR;
    if (ioctl(control, command, about)) fail("the verified device: %s: %s", what, strerror(errno));
}

/* A call about the mapping "root", with room for what comes with it. */
static union {
    struct dm_ioctl about;
    char room[4096];
} call;

static struct dm_ioctl *about_root(void) {
    memset(call.room, 0, sizeof call);
    call.about.data_size = sizeof call;
    call.about.data_start = sizeof call.about;
    strcpy(call.about.name, "root");
    return &call.about;
}

/* Gives the mapping a table, and starts it; "options" says what becomes of a corrupted block. */
static void map_verified(int control, const char *partition, const char *hash, const char *salt, unsigned long blocks,
                         const char *options) {
    struct dm_ioctl *about = about_root();
    struct dm_target_spec *target = (void *)(call.room + sizeof *about);
    about->target_count = 1;
    about->flags = DM_READONLY_FLAG;
    target->length = (uint64_t)blocks * (BLOCK / SECTOR);
    strcpy(target->target_type, "verity");
    snprintf((char *)(target + 1), 1024, "1 %s %s %d %d %lu %lu sha256 %s %s%s", partition, partition, BLOCK, BLOCK,
             blocks, blocks, hash, salt, options);
    device_mapper(control, DM_TABLE_LOAD, about, "the table is refused");
    device_mapper(control, DM_DEV_SUSPEND, about_root(), "start");
}

/* Whether the mapping gives its first block: where the tree of hashes is another image's, it does not. */
static int gives_first_block(void) {
    static char block[BLOCK] __attribute__((aligned(BLOCK)));
    int file = open("/dev/dm-0", O_RDONLY | O_DIRECT | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : pread(file, block, sizeof block, 0);
    if (file >= 0) close(file);
    return length == (ssize_t)sizeof block;
}

/*
 * Makes /dev/dm-0 of the first of these partitions that is the root file system which the command line names: what is read
 * from it is what the root hash says, or the kernel stops and restarts. It is that of our slot, unless an update brought a
 * kernel alone. Returns the partition.
 */
static const char *open_verified(const char *const partitions[2], const char *word) {
    char hash[129], salt[129];
    unsigned long blocks;
    if (sscanf(word, "%128[0-9a-f]:%128[0-9a-f]:%lu", hash, salt, &blocks) != 3)
        fail("armillary.root: expected HASH:SALT:BLOCKS, got %s", word);
    int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    if (control < 0) fail("the kernel has no device mapper: %s", strerror(errno));
    for (int i = 0; i < 2 && *partitions[i]; i++) {
        device_mapper(control, DM_DEV_CREATE, about_root(), "create");
        map_verified(control, partitions[i], hash, salt, blocks, "");
        if (gives_first_block()) {
            map_verified(control, partitions[i], hash, salt, blocks, " 1 panic_on_corruption");
            close(control);
            return partitions[i];
        }
        device_mapper(control, DM_DEV_REMOVE, about_root(), "remove");
    }
    fail("neither slot has the root file system with the hash %s, or it is damaged", hash);
}

/* Frees the memory of what was only needed up to here. */
static void forget_modules(void) {
    char path[512];
    DIR *entries = opendir("/modules");
    if (!entries) return;
    for (struct dirent *entry; (entry = readdir(entries));) {
        snprintf(path, sizeof path, "/modules/%s", entry->d_name);
        unlink(path);
    }
    closedir(entries);
    unlink("/init");
}

static void move_into_root(const char *path) {
    char inside[64];
    snprintf(inside, sizeof inside, "/root%s", path);
    if (mount(path, inside, NULL, MS_MOVE, NULL)) fail("%s does not move into the root: %s", path, strerror(errno));
}

/*
 * Becomes process 1, and starts the device process beside it: both load themselves at once, one on each processor. The
 * device process waits on a pipe until process 1 has mounted the data.
 */
static void __attribute__((noreturn)) become_process_1(char *slot, char *disk, char *data, char *began) {
    char words[48], go[48], node[340], process[16], heard[16], told[16];
    int said[2], gone[2];
    if (pipe(said) || pipe(gone)) fail("no pipes: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) fail("the device process does not start: %s", strerror(errno));
    if (!child) {
        close(said[0]);
        close(gone[1]);
        snprintf(words, sizeof words, "ARMILLARY_MACHINE_WORDS=%d", said[1]);
        snprintf(go, sizeof go, "ARMILLARY_MACHINE_GO=%d", gone[0]);
        snprintf(node, sizeof node, "ARMILLARY_MACHINE_DISK=%s", disk);
        execve(PYTHON,
               (char *[]){PYTHON, "-I", "-W", "ignore", "-m", START, "armillary.device.machine.program", NULL},
               (char *[]){ENVIRONMENT, words, go, node, NULL});
        _exit(127); /* process 1 starts it again */
    }
    close(said[1]);
    close(gone[0]);
    snprintf(process, sizeof process, "%d", (int)child);
    snprintf(heard, sizeof heard, "%d", said[0]);
    snprintf(told, sizeof told, "%d", gone[1]);
    execve(PYTHON,
           (char *[]){PYTHON, "-I", "-m", START, "armillary.device.machine.first", slot, disk, data, began, process,
                      heard, told, NULL},
           (char *[]){ENVIRONMENT, NULL});
    fail("%s does not start: %s", PYTHON, strerror(errno));
}

int main(void) {
    static char line[4096], word[512], disk[300], own[300], other[300], data[300], began[32];
    struct timespec now;
    char slot[] = "?";
    clock_gettime(CLOCK_BOOTTIME, &now);
    snprintf(began, sizeof began, "%ld.%02ld", (long)now.tv_sec, now.tv_nsec / 10000000);
    mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=0755", 1);
    int console = open("/dev/console", O_RDWR);
    for (int i = 0; console >= 0 && i < 3; i++) dup2(console, i);
    mount_at("proc", "/proc", CLOSED, NULL, 1);
    mount_at("sysfs", "/sys", CLOSED, NULL, 1);
    if (read_text("/proc/cmdline", line, sizeof line) <= 0) fail("the command line is empty");
    const char *added = behind_root(line);
    if (!added) fail("the command line has no armillary.root");
    if (*added) fail("words that nobody signed were added to the command line");
    pid_t variables = begin_variables();
    load_modules("/modules/order");
    mount_at("securityfs", "/sys/kernel/security", CLOSED, NULL, 0);
    mount_at("cgroup2", "/sys/fs/cgroup", CLOSED, NULL, 0);
    mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=32m", 1);
    if (variables) waitpid(variables, NULL, 0);
    find_slot(line, slot, disk, own, other, data, sizeof own);
    word_of(line, "armillary.root", word, sizeof word);
    const char *root = open_verified((const char *const[]){own, other}, word);
    mkdir("/root", 0755);
    if (mount("/dev/dm-0", "/root", "erofs", MS_RDONLY | MS_NODEV | MS_NOSUID, NULL))
        fail("the root file system of slot %s (%s) does not mount: %s", slot, root, strerror(errno));
    say("slot %s, verified root from %s", slot, root);
    forget_modules();
    mount_at("tmpfs", "/root/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=64m", 1);
    mkdir("/dev/shm", 01777);
    mount_at("tmpfs", "/dev/shm", CLOSED, "mode=1777,size=32m", 1);
    move_into_root("/dev");
    move_into_root("/proc");
    move_into_root("/sys");
    move_into_root("/run");
    if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
        fail("the root does not take its place: %s", strerror(errno));
    become_process_1(slot, disk, data, began);
}

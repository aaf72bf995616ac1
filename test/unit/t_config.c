/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to open files: what is opened how, what is refused why, and that nothing is left
 * over.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "control/config.h"
#include "control/options.h"

static struct launch launch;
static struct options options;
static struct err e;
static char old_dir[4096];

static void make_file(const char *path, off_t bytes, mode_t mode)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
}

/* Every test starts in a fresh folder with usable files. */
static int setup(void **state)
{
	char *dir = strdup("/tmp/t_config.XXXXXX");

	assert_non_null(getcwd(old_dir, sizeof(old_dir)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	make_file("kernel", 100, 0644);
	make_file("initrd", 1, 0644);
	make_file("disk", 1024, 0644);
	make_file("disk,b", 512, 0644);
	assert_int_equal(mkfifo("fifo", 0644), 0);
	assert_int_equal(link("disk", "hardlink"), 0);
	assert_int_equal(symlink("disk", "symlink"), 0);
	e = (struct err){ 0 };
	options = (struct options){ 0 };
	memset(&launch, 0xa5, sizeof(launch)); /* config_build() wants no preparation */
	launch.nr_fds = 0;
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	char *dir = *state;
	char command[128];

	launch_release(&launch);
	options_release(&options);
	assert_int_equal(chdir(old_dir), 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	assert_int_equal(system(command), 0);
	free(dir);
	return 0;
}

static size_t count_fds(void)
{
	size_t nr = 0;

	for (int fd = 0; fd < 1024; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

#define ARGV(...) ((const char *[]){ "volt-vmm", "--kernel=kernel", __VA_ARGS__, NULL })

/* options_parse() wants a main()'s argv, which is not const; it writes to none of it. */
static int build(const char *const *words)
{
	union {
		const char *const *from;
		char *const *to;
	} argv = { words };
	int argc = 0;

	while (words[argc])
		argc++;
	launch_release(&launch);
	options_release(&options);
	e = (struct err){ 0 };
	assert_int_equal(options_parse(argc, argv.to, &options, &e), 0);
	return config_build(&options.settings, &launch, &e);
}

static void need_kvm(void)
{
	auto_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		print_message("no usable /dev/kvm\n");
		skip();
	}
}

static void assert_refused(const char *const *words, int code, const char *message)
{
	size_t nr_before = count_fds();

	assert_int_equal(build(words), code);
	assert_string_equal(e.msg, message);
	assert_int_equal(e.code, code);
	assert_int_equal(launch.nr_fds, 0);
	assert_int_equal(count_fds(), nr_before);
}

static int fd_of(int32_t slot)
{
	assert_in_range(slot, 0, launch.nr_fds - 1);
	return launch.fds[slot];
}

static void assert_opened(int32_t slot, const char *path, int access_mode)
{
	struct stat opened;
	struct stat named;

	assert_int_equal(fstat(fd_of(slot), &opened), 0);
	assert_int_equal(stat(path, &named), 0);
	assert_int_equal(opened.st_ino, named.st_ino);
	assert_int_equal(fcntl(fd_of(slot), F_GETFL) & O_ACCMODE, access_mode);
	assert_int_equal(fcntl(fd_of(slot), F_GETFD), FD_CLOEXEC);
}

/* Files are looked at before /dev/kvm, so that this needs none. */
static void test_missing_files(void **state)
{
	(void)state;
	assert_refused((const char *[]){ "v", "--kernel=gone", NULL }, -ENOENT,
		       "cannot open kernel 'gone': No such file or directory");
	assert_refused(ARGV("--initrd=gone"), -ENOENT,
		       "cannot open initrd 'gone': No such file or directory");
	assert_refused(ARGV("--initrd=initrd", "--rootfs=disk", "--drive=gone,ro"), -ENOENT,
		       "cannot open drive 'gone': No such file or directory");
}

static void test_file_used_twice(void **state)
{
	(void)state;
	assert_refused(ARGV("--drive=disk", "--drive=hardlink"), -EBUSY,
		       "drive 'hardlink' is the same file as drive 'disk'; a file that is written "
		       "can be used once only");
	assert_refused(ARGV("--rootfs=./disk", "--drive=symlink,ro"), -EBUSY,
		       "drive 'symlink' is the same file as drive './disk'; a file that is written "
		       "can be used once only");
	assert_refused(ARGV("--initrd=disk", "--drive=disk"), -EBUSY,
		       "drive 'disk' is the same file as initrd 'disk'; a file that is written can "
		       "be used once only");
}

static void test_console_is_disk(void **state)
{
	(void)state;
	need_kvm();
	assert_refused(ARGV("--drive=disk,ro", "--console=file:disk"), -EBUSY,
		       "console file 'disk' is the same file as drive 'disk'; a file that is "
		       "written can be used once only");
}

/* A run that cannot start makes no console file. */
static void test_nothing_left_behind(void **state)
{
	(void)state;
	assert_refused(ARGV("--console=file:log", "--drive=gone"), -ENOENT,
		       "cannot open drive 'gone': No such file or directory");
	assert_int_equal(access("log", F_OK), -1);
}

static void test_read_only_file_twice(void **state)
{
	(void)state;
	need_kvm();
	assert_int_equal(build(ARGV("--drive=disk,ro", "--drive=disk,ro", "--initrd=kernel")), 0);
	assert_int_equal(launch.config.drive_count, 2);
	assert_int_equal(build(ARGV("--drive=disk", "--console=file:/dev/null")), 0);
}

static void test_whole_configuration(void **state)
{
	const struct machine_config *config = &launch.config;
	size_t nr_before = count_fds();

	(void)state;
	need_kvm();
	assert_int_equal(build(ARGV("--initrd=initrd", "--drive=disk,,b,ro,id=data",
				    "--rootfs=disk", "--memory=64M", "--cpus=3",
				    "--boot-protocol=pvh", "--console=file:log")),
			 0);
	assert_int_equal(config->version, WIRE_VERSION);
	assert_int_equal(config->cpu_count, 3);
	assert_int_equal(config->memory_bytes, 64 * MIB);
	assert_int_equal(config->boot_protocol, BOOT_PROTOCOL_PVH);
	assert_true(config->has_acpi);
	assert_opened(config->kvm_slot, "/dev/kvm", O_RDWR);
	assert_opened(config->kernel_slot, "kernel", O_RDONLY);
	assert_opened(config->initrd_slot, "initrd", O_RDONLY);
	assert_opened(config->console_out_slot, "log", O_WRONLY);
	assert_int_equal(config->console_in_slot, WIRE_NO_FD);
	assert_int_equal(launch.console, CONSOLE_FILE);
	assert_int_equal(config->drive_count, 2);
	assert_string_equal(config->drives[0].id, "rootfs");
	assert_true(config->drives[0].is_root);
	assert_false(config->drives[0].is_read_only);
	assert_opened(config->drives[0].fd_slot, "disk", O_RDWR);
	assert_string_equal(config->drives[1].id, "data");
	assert_false(config->drives[1].is_root);
	assert_true(config->drives[1].is_read_only);
	assert_opened(config->drives[1].fd_slot, "disk,b", O_RDONLY);
	assert_int_equal(config->drives[2].fd_slot, WIRE_NO_FD);
	assert_int_equal(launch.nr_fds, 6);
	assert_int_equal(count_fds(), nr_before + 6);
	launch_release(&launch);
	launch_release(&launch);
	assert_int_equal(count_fds(), nr_before);
}

static void test_least_configuration(void **state)
{
	const struct machine_config *config = &launch.config;
	int pair[2];

	(void)state;
	need_kvm();
	assert_int_equal(build(ARGV("--")), 0);
	assert_int_equal(launch.console, CONSOLE_STDIO);
	assert_int_equal(launch.nr_fds, 2);
	assert_int_equal(config->initrd_slot, WIRE_NO_FD);
	assert_int_equal(config->console_in_slot, WIRE_NO_FD);
	assert_int_equal(config->console_out_slot, WIRE_NO_FD);
	assert_int_equal(config->drive_count, 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(pair[0]);
	assert_int_equal(launch_add_console(&launch, pair[1], &e), 0);
	assert_int_equal(fd_of(config->console_in_slot), pair[1]);
	assert_int_equal(fd_of(config->console_out_slot), pair[1]);
}

static void test_no_room_for_console(void **state)
{
	size_t nr_before = count_fds();
	int fd = dup(STDERR_FILENO);

	(void)state;
	launch.nr_fds = LAUNCH_MAX_FDS;
	assert_int_equal(launch_add_console(&launch, fd, &e), -ENOSPC);
	assert_int_equal(count_fds(), nr_before);
	launch.nr_fds = 0;
}

static void test_most_drives(void **state)
{
	const char *argv[5 + WIRE_MAX_DRIVES] = { "volt-vmm", "--kernel=kernel", "--initrd=initrd",
						  "--console=file:log" };
	size_t nr = 4;

	(void)state;
	need_kvm();
	for (size_t i = 0; i < WIRE_MAX_DRIVES; i++)
		argv[nr++] = "--drive=disk,ro";
	assert_int_equal(build(argv), 0);
	assert_int_equal(launch.config.drive_count, WIRE_MAX_DRIVES);
	assert_int_equal(launch_add_console(&launch, dup(STDERR_FILENO), &e), 0);
}

/* The guest's words go behind those that are there. */
static void test_console_appends(void **state)
{
	char text[8] = "";

	(void)state;
	need_kvm();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(build(ARGV("--console=file:log")), 0);
		assert_int_equal(write(fd_of(launch.config.console_out_slot), "abc", 3), 3);
	}
	auto_fd int fd = open("log", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 6);
	assert_string_equal(text, "abcabc");
}

static void test_console_fifo(void **state)
{
	(void)state;
	need_kvm();
	auto_fd int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(reader >= 0);
	assert_int_equal(build(ARGV("--console=file:fifo")), 0);
	assert_true(fcntl(fd_of(launch.config.console_out_slot), F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(fd_of(launch.config.console_out_slot), "x", 1), 1);
}

static void assert_cmdline(const char *const *words, const char *expected, bool has_acpi)
{
	assert_int_equal(build(words), 0);
	assert_string_equal(launch.config.cmdline, expected);
	assert_int_equal(launch.config.has_acpi, has_acpi);
}

static void test_cmdlines(void **state)
{
	(void)state;
	need_kvm();
	assert_cmdline(ARGV("--drive=disk"), "console=ttyS0 reboot=k panic=-1 quiet loglevel=3",
		       true);
	assert_cmdline(ARGV("--console=none"), "reboot=k panic=-1 quiet loglevel=3", true);
	assert_cmdline(ARGV("--rootfs=disk"),
		       "console=ttyS0 reboot=k panic=-1 quiet loglevel=3 root=/dev/vda rw", true);
	assert_cmdline(ARGV("--rootfs=disk,ro", "--cmdline-append=x=y z", "--no-acpi"),
		       "console=ttyS0 reboot=k panic=-1 quiet loglevel=3 root=/dev/vda ro x=y z",
		       false);
	assert_cmdline(ARGV("--rootfs=disk", "--cmdline=mine"), "mine", true);
	assert_cmdline(ARGV("--cmdline=mine", "--cmdline-append=and more"), "mine and more", true);
	assert_cmdline(ARGV("--cmdline="), "", true);
	assert_cmdline(ARGV("--cmdline=", "--cmdline-append=more"), "more", true);
	assert_cmdline(ARGV("--cmdline=mine", "--cmdline-append="), "mine", true);
}

/* An API client's command line, to which the root is added. */
static void assert_root(const char *cmdline, const char *partuuid, const char *expected)
{
	struct settings *s = &options.settings;

	assert_int_equal(build(ARGV("--rootfs=disk,ro")), 0);
	launch_release(&launch);
	assert_int_equal(settings_set_text(&s->cmdline, cmdline, &e), 0);
	assert_int_equal(settings_set_text(&s->drives[0].partuuid, partuuid, &e), 0);
	s->has_root_appended = true;
	assert_int_equal(config_build(s, &launch, &e), 0);
	assert_string_equal(launch.config.cmdline, expected);
}

static void test_root_appended(void **state)
{
	(void)state;
	need_kvm();
	assert_root("mine", NULL, "mine root=/dev/vda ro");
	assert_root("mine", "0eaa91a0-01", "mine root=PARTUUID=0eaa91a0-01 ro");
	assert_root("", NULL, "root=/dev/vda ro");
	/* Behind "--" are words for init. */
	assert_root("a -- b c", NULL, "a root=/dev/vda ro -- b c");
	assert_root("-- b", NULL, "root=/dev/vda ro -- b");
	assert_root("a=\"x -- y\" -- b", NULL, "a=\"x -- y\" root=/dev/vda ro -- b");
	assert_root("a --b", NULL, "a --b root=/dev/vda ro");
	assert_root(
		NULL, "0eaa91a0-01",
		"console=ttyS0 reboot=k panic=-1 quiet loglevel=3 root=PARTUUID=0eaa91a0-01 ro");
}

/* A template that was given whole wins over a name. */
static void test_custom_template(void **state)
{
	struct cpu_template *template = calloc(1, sizeof(*template));

	(void)state;
	need_kvm();
	assert_non_null(template);
	assert_int_equal(build(ARGV("--cpu-template=T2")), 0);
	launch_release(&launch);
	template->nr_msrs = 1;
	template->msrs[0].index = 0x10a;
	options.settings.custom_template = template;
	assert_int_equal(config_build(&options.settings, &launch, &e), 0);
	assert_true(launch.config.has_cpu_template);
	assert_int_equal(launch.cpu_template.nr_msrs, 1);
	assert_int_equal(launch.cpu_template.msrs[0].index, 0x10a);
}

static void test_acpi_off(void **state)
{
	(void)state;
	need_kvm();
	assert_cmdline(ARGV("--cmdline=acpi=off"), "acpi=off", false);
	assert_cmdline(ARGV("--cmdline= a  acpi=off b"), " a  acpi=off b", false);
	assert_cmdline(ARGV("--cmdline=a=\"b c\"", "--cmdline-append=acpi=off"),
		       "a=\"b c\" acpi=off", false);
	assert_cmdline(ARGV("--cmdline=acpi=offf"), "acpi=offf", true);
	assert_cmdline(ARGV("--cmdline=xacpi=off"), "xacpi=off", true);
	assert_cmdline(ARGV("--cmdline=a=\"b acpi=off c\""), "a=\"b acpi=off c\"", true);
	assert_cmdline(ARGV("--cmdline=a=\"b acpi=off"), "a=\"b acpi=off", true);
	assert_cmdline(ARGV("--cmdline=-- acpi=off"), "-- acpi=off", true);
	assert_cmdline(ARGV("--cmdline=   "), "   ", true);
}

static void test_longest_cmdline(void **state)
{
	const char *argv[] = { "v",  "--kernel=kernel",	     "--cmdline",
			       NULL, "--cmdline-append=abc", NULL };
	char *text;

	(void)state;
	need_kvm();
	text = malloc(WIRE_CMDLINE_BYTES);
	assert_non_null(text);
	memset(text, 'x', WIRE_CMDLINE_BYTES);
	argv[3] = text;
	text[WIRE_CMDLINE_BYTES - 1 - 4] = '\0';
	assert_int_equal(build(argv), 0);
	assert_int_equal(strlen(launch.config.cmdline), WIRE_CMDLINE_BYTES - 1);
	text[WIRE_CMDLINE_BYTES - 1 - 4] = 'x';
	text[WIRE_CMDLINE_BYTES - 1 - 3] = '\0';
	assert_int_equal(build(argv), -E2BIG);
	assert_string_equal(e.msg, "the kernel command line has 65536 bytes; at most 65535 fit");
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_missing_files),
		TEST(test_file_used_twice),
		TEST(test_console_is_disk),
		TEST(test_read_only_file_twice),
		TEST(test_whole_configuration),
		TEST(test_least_configuration),
		TEST(test_no_room_for_console),
		TEST(test_most_drives),
		TEST(test_console_appends),
		TEST(test_console_fifo),
		TEST(test_nothing_left_behind),
		TEST(test_cmdlines),
		TEST(test_root_appended),
		TEST(test_custom_template),
		TEST(test_acpi_off),
		TEST(test_longest_cmdline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

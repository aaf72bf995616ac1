/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files in both forms: what is read, what is refused, and that nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "control/json/config_file.h"
#include "control/json/fc.h"
#include "jail/layer.h"

#define BOOT "\"boot-source\":{\"kernel_image_path\":\"kernel\"}"

static char folder[] = "/tmp/t_config_file.XXXXXX";
static struct settings s;

static int enter_folder(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	fd = open("kernel", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	return fd < 0 || close(fd) < 0 || link("kernel", "disk") < 0 ? -1 : 0;
}

static int leave_folder(void **state)
{
	(void)state;
	return unlink("kernel") < 0 || unlink("disk") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

static int set_up(void **state)
{
	(void)state;
	settings_init(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_release(&s);
	return 0;
}

static void parse(struct settings *to, const char *text)
{
	struct err e = { 0 };

	if (config_file_parse("test.json", text, strlen(text), to, &e) < 0)
		fail_msg("%s", e.msg);
}

static void refuse(const char *text, int code, const char *message)
{
	static const char prefix[] = "configuration file 'test.json': ";
	struct err e = { 0 };
	json_t *before = settings_to_volt(&s);
	json_t *after;

	assert_int_equal(config_file_parse("test.json", text, strlen(text), &s, &e), code);
	assert_memory_equal(e.msg, prefix, sizeof(prefix) - 1);
	assert_string_equal(e.msg + sizeof(prefix) - 1, message);
	after = settings_to_volt(&s);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static char *dump(json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	assert_non_null(text);
	json_decref(json);
	return text;
}

static void assert_dump(json_t *json, const char *expected)
{
	char *text = dump(json);

	assert_string_equal(text, expected);
	free(text);
}

/* What is written of the settings reads the same again. */
static void assert_round_trip(void)
{
	struct settings again;
	char *first = dump(settings_to_volt(&s));
	char *fc = dump(settings_to_fc(&s));
	char *second;

	settings_init(&again);
	parse(&again, first);
	second = dump(settings_to_volt(&again));
	assert_string_equal(first, second);
	free(second);
	second = dump(settings_to_fc(&again));
	assert_string_equal(fc, second);
	free(second);
	free(first);
	free(fc);
	settings_release(&again);
}

static const char volt_text[] =
	"{\"version\":1,\"memory\":\"512M\",\"cpus\":4,\"smt\":true,\"cpu_template\":\"T2\","
	"\"cpu_affinity\":\"0,2,4,6\",\"hugepages\":\"2m\",\"prefault\":true,"
	"\"memory_shared\":true,\"track_dirty_pages\":true,\"pit\":true,\"acpi\":false,"
	"\"kernel\":\"vmlinuz\",\"initrd\":\"initrd.img\",\"cmdline\":\"console=ttyS0\","
	"\"cmdline_append\":\"quiet\",\"cmdline_root\":true,\"boot_protocol\":\"pvh\","
	"\"kernel_decompress\":\"host\",\"console\":\"file:serial.log\","
	"\"console_bw\":\"1024:100:5\",\"sandbox_allow_missing\":\"root,landlock\","
	"\"core_scheduling\":true,\"memory_lock\":true,\"seccomp_filter\":\"extra.bpf\","
	"\"rootfs\":{\"path\":\"root.img\",\"id\":\"rootfs\",\"ro\":true,\"engine\":\"io_uring\","
	"\"cache\":\"unsafe\",\"direct\":true,\"queues\":8,\"iothread\":\"io0\",\"lock\":false,"
	"\"bw\":\"1048576:1000\",\"ops\":\"100:1000:50\",\"discard\":true,"
	"\"partuuid\":\"0eaa91a0-01\"},"
	"\"drives\":[{\"path\":\"data.img\",\"id\":\"data\",\"ro\":false,\"engine\":\"auto\","
	"\"cache\":\"writeback\",\"direct\":false,\"queues\":1,\"lock\":true}],"
	"\"networks\":[{\"id\":\"eth0\",\"tap\":\"tap0\",\"mac\":\"06:00:ac:10:00:02\","
	"\"mtu\":1500,\"rx_bw\":\"1:1\",\"rx_ops\":\"2:2\",\"tx_bw\":\"3:3\",\"tx_ops\":\"4:4\"}],"
	"\"pmems\":[{\"id\":\"p0\",\"path\":\"p.img\",\"root\":false,\"ro\":true,"
	"\"bw\":\"5:5\",\"ops\":\"6:6\"}],"
	"\"vsock\":{\"cid\":3,\"socket\":\"v.sock\"},"
	"\"balloon\":{\"amount\":\"64M\",\"deflate_on_oom\":true,\"stats_interval\":5,"
	"\"free_page_hinting\":true,\"free_page_reporting\":true},"
	"\"entropy\":{\"bw\":\"7:7\"},"
	"\"memory_hotplug\":{\"total\":\"1024M\",\"block\":\"2M\",\"slot\":\"128M\"},"
	"\"mmds\":{\"version\":2,\"networks\":[\"eth0\"],\"address\":\"169.254.169.254\","
	"\"imds_compat\":true},"
	"\"logger\":{\"path\":\"vm.log\",\"level\":\"debug\",\"format\":\"json\","
	"\"show_level\":true,\"show_origin\":true,\"module\":\"api\"},"
	"\"metrics\":{\"path\":\"metrics.fifo\",\"show_id\":true,\"properties\":{\"a\":\"b\"}}}";

/* All that there is, in the order in which it is written: the text comes back as it was. */
static void test_volt_everything(void **state)
{
	(void)state;
	parse(&s, volt_text);
	assert_dump(settings_to_volt(&s), volt_text);
	assert_int_equal(s.memory_bytes, 512 * MIB);
	assert_int_equal(s.nr_affinity, 4);
	assert_int_equal(s.affinity[3], 6);
	assert_false(s.has_acpi);
	assert_int_equal(s.console.kind, CONSOLE_FILE);
	assert_string_equal(s.console.path, "serial.log");
	assert_true(s.drives[0].is_root && s.drives[0].has_no_lock && s.drives[0].is_direct);
	assert_int_equal(s.drives[0].limit.ops.one_time_burst, 50);
	assert_int_equal(s.balloon.amount_mib, 64);
	assert_int_equal(s.allowed_missing, 1u << JAIL_ROOT | 1u << JAIL_LANDLOCK);
	assert_true(s.is_alone_on_core && s.is_memory_locked);
	assert_string_equal(s.seccomp_path, "extra.bpf");
	assert_round_trip();
}

static void test_volt_defaults(void **state)
{
	(void)state;
	parse(&s, "{\"version\":1}");
	assert_dump(settings_to_volt(&s),
		    "{\"version\":1,\"memory\":\"128M\",\"cpus\":1,\"smt\":false,"
		    "\"hugepages\":\"auto\",\"prefault\":false,\"memory_shared\":false,"
		    "\"track_dirty_pages\":false,\"pit\":false,\"acpi\":true,"
		    "\"cmdline_root\":false,\"boot_protocol\":\"auto\","
		    "\"kernel_decompress\":\"auto\",\"console\":\"stdio\","
		    "\"core_scheduling\":false,\"memory_lock\":false,\"drives\":[]}");
	assert_round_trip();
}

/* A configuration that comes later and says nothing of the confinement leaves it alone. */
static void test_volt_keeps_confinement(void **state)
{
	(void)state;
	parse(&s, "{\"version\":1,\"memory_lock\":true,\"seccomp_filter\":\"f\","
		  "\"sandbox_allow_missing\":\"limits\",\"core_scheduling\":true}");
	parse(&s, "{\"version\":1,\"cpus\":2,\"seccomp_filter\":null}");
	assert_int_equal(s.cpu_count, 2);
	assert_int_equal(s.allowed_missing, 1u << JAIL_LIMITS);
	assert_true(s.is_alone_on_core && s.is_memory_locked);
	assert_string_equal(s.seccomp_path, "f");
	parse(&s, "{\"version\":1,\"memory_lock\":false,\"seccomp_filter\":\"g\","
		  "\"sandbox_allow_missing\":\"\",\"core_scheduling\":false}");
	assert_int_equal(s.allowed_missing, 0);
	assert_false(s.is_alone_on_core || s.is_memory_locked);
	assert_string_equal(s.seccomp_path, "g");
}

/* The ways to write a value. */
static void test_volt_short_forms(void **state)
{
	(void)state;
	parse(&s, "{\"version\":1,\"memory\":268435456,\"rootfs\":\"a,b.img\","
		  "\"drives\":[\"one\",{\"path\":\"two\",\"bw\":4096,\"ops\":\"7\"},"
		  "{\"path\":\"three\",\"id\":\"x\",\"bw\":18446744073709551615}],"
		  "\"balloon\":{\"amount\":1048576},\"entropy\":{},\"logger\":{},"
		  "\"initrd\":null,\"vsock\":null}");
	assert_int_equal(s.memory_bytes, 256 * MIB);
	assert_string_equal(s.drives[0].path, "a,b.img");
	assert_string_equal(s.drives[0].id, "rootfs");
	assert_string_equal(s.drives[1].id, "drive1");
	assert_string_equal(s.drives[2].id, "drive2");
	assert_string_equal(s.drives[3].id, "x");
	assert_int_equal(s.drives[2].limit.bandwidth.size, 4096);
	assert_int_equal(s.drives[2].limit.bandwidth.refill_ms, 1000);
	assert_int_equal(s.drives[2].limit.ops.size, 7);
	assert_true(s.drives[3].limit.bandwidth.size == UINT64_MAX);
	assert_int_equal(s.drives[1].queue_count, 1);
	assert_false(s.drives[1].has_no_lock);
	assert_int_equal(s.balloon.amount_mib, 1);
	assert_true(s.entropy.is_present && s.logger.is_present && !s.logger.has_level);
	assert_round_trip();
}

static void test_volt_custom_template(void **state)
{
	(void)state;
	parse(&s, "{\"version\":1,\"cpu_template\":{\"msr_modifiers\":[{\"addr\":\"0x10a\","
		  "\"bitmap\":\"0b1x\"}]}}");
	assert_non_null(s.custom_template);
	assert_int_equal(s.custom_template->msrs[0].filter, 2);
	assert_round_trip();
}

struct refusal {
	const char *text;
	int code;
	const char *message;
};

static void test_volt_refusals(void **state)
{
#define V "{\"version\":1,"
	static const struct refusal cases[] = {
		{ "{\"version\":2}", -EBADMSG,
		  "version 2 is not known; write 1 at line 1 column 12" },
		{ "{\"version\":\"1\"}", -EBADMSG,
		  "invalid type: string \"1\", expected u32 at line 1 column 14" },
		{ V "\"memroy\":1}", -EBADMSG,
		  "unknown field `memroy`, the nearest is `memory` at line 1 column 21" },
		{ V "\n\"boot-source\":{}}", -EBADMSG,
		  "unknown field `boot-source`, the nearest is `boot_protocol` at line 2 column "
		  "13" },
		{ V "\"memory\":\"512\"}", -EINVAL,
		  "memory '512': give a unit, for example 512M at line 1 column 27" },
		{ V "\"memory\":1000}", -EINVAL,
		  "memory '1000B': too little; at least 16M are needed at line 1 column 26" },
		{ V "\"memory\":-1}", -EBADMSG,
		  "invalid value: integer `-1`, expected u64 at line 1 column 24" },
		{ V "\"memory\":1.5}", -EBADMSG,
		  "invalid type: floating point `1.5`, expected u64 at line 1 column 25" },
		{ V "\"memory\":[]}", -EBADMSG,
		  "invalid type: sequence, expected a number or a string at line 1 column 22" },
		{ V "\"cpus\":0}", -EINVAL,
		  "cpus '0': give a number from 1 to 255 at line 1 column 21" },
		{ V "\"cpus\":256}", -EINVAL,
		  "cpus '256': give a number from 1 to 255 at line 1 column 23" },
		{ V "\"sandbox_allow_missing\":\"walls\"}", -EINVAL,
		  "sandbox_allow_missing 'walls': there is no layer 'walls'; the layers are "
		  "namespaces,root,capabilities,landlock,limits,seccomp at line 1 column 44" },
		{ V "\"hugepages\":\"1g\"}", -EBADMSG,
		  "unknown variant `1g`, expected one of `auto`, `off`, `thp`, `2m` at line 1 "
		  "column 29" },
		{ V "\"kernel\":\"\"}", -EINVAL,
		  "kernel '': the path is empty; give the path of a file at line 1 column 24" },
		{ V "\"cmdline\":\"a\\u0007\"}", -EINVAL,
		  "cmdline 'a?': control character 0x07 at byte 1; separate words with spaces at "
		  "line 1 column 32" },
		{ V "\"cpu_affinity\":\"0-\"}", -EINVAL,
		  "cpu_affinity '0-': '0-' is no CPU or range of CPUs; give a list such as 0-3,6 "
		  "at line 1 column 32" },
		{ V "\"console\":\"tty\"}", -EINVAL,
		  "console 'tty': not one of stdio, none, file:PATH at line 1 column 28" },
		{ V "\"console\":\"file:\"}", -EINVAL,
		  "console 'file:': the path is empty; give file:PATH at line 1 column 30" },
		{ V "\"acpi\":\"off\"}", -EBADMSG,
		  "invalid type: string \"off\", expected a boolean at line 1 column 25" },
		{ V "\"rootfs\":{}}", -EBADMSG, "missing field `path` at line 1 column 24" },
		{ V "\"rootfs\":\"\"}", -EINVAL,
		  "path '': the path is empty; give the path of a file at line 1 column 24" },
		{ V "\"drives\":{}}", -EBADMSG,
		  "invalid type: map, expected a sequence at line 1 column 22" },
		{ V "\"drives\":[{\"path\":\"a\",\"reado\":true}]}", -EBADMSG,
		  "unknown field `reado`, the nearest is `ro` at line 1 column 42" },
		{ V "\"drives\":[{\"path\":\"a\",\"partuuid\":\"x\"}]}", -EBADMSG,
		  "unknown field `partuuid`, the nearest is `path` at line 1 column 45" },
		{ V "\"drives\":[{\"path\":\"a\",\"queues\":9}]}", -EINVAL,
		  "queues 9: give a number from 1 to 8 at line 1 column 46" },
		{ V "\"drives\":[{\"path\":\"a\",\"bw\":0}]}", -EINVAL,
		  "bw '0': give SIZE[:REFILL_MS[:BURST]], each above 0 at line 1 column 41" },
		{ V "\"drives\":[{\"path\":\"a\",\"id\":\"a b\"}]}", -EINVAL,
		  "drive id 'a b': give an unused one of 1 to 64 letters, digits, '_' or '-' at "
		  "line 1 column 46" },
		{ V "\"drives\":[\"a\",{\"path\":\"b\",\"id\":\"drive1\"}]}", -EINVAL,
		  "drive id 'drive1': give an unused one of 1 to 64 letters, digits, '_' or '-' at "
		  "line 1 column 53" },
		{ V "\"networks\":[{\"id\":\"e\",\"tap\":\"\"}]}", -EINVAL,
		  "tap '': no name of an interface at line 1 column 44" },
		{ V "\"networks\":[{\"id\":\"e\",\"tap\":\"t\",\"mac\":\"06-00\"}]}", -EINVAL,
		  "mac '06-00': give six bytes such as 06:00:ac:10:00:02 at line 1 column 59" },
		{ V "\"vsock\":{\"cid\":1,\"socket\":\"s\"}}", -EINVAL,
		  "The guest CID is 1; it must be from 3 to 4294967294. at line 1 column 43" },
		{ V "\"balloon\":{\"amount\":\"1G\"}}", -EINVAL,
		  "Amount of pages requested is too large. at line 1 column 38" },
		{ V "\"balloon\":{\"amount\":\"5K\"}}", -EINVAL,
		  "amount '5K': give a size of whole MiB, for example 64M at line 1 column 37" },
		{ V "\"mmds\":{\"networks\":[\"e\"]}}", -EINVAL,
		  "The list of network interface IDs provided contains at least one ID that does "
		  "not correspond to any existing network interface. at line 1 column 38" },
		{ V "\"pmems\":[{\"id\":\"a\",\"path\":\"p\",\"root\":true}],\"rootfs\":\"r\"}",
		  -EINVAL, "pmem a: there is another root already at line 1 column 55" },
		{ V "\"logger\":{\"level\":\"warning\"}}", -EBADMSG,
		  "unknown variant `warning`, expected one of `off`, `error`, `warn`, `info`, "
		  "`debug`, `trace` at line 1 column 40" },
		{ V "\"cpu_template\":{\"cpuid\":[]}}", -EBADMSG,
		  "CPU template 'cpu-config': unknown key 'cpuid'; the nearest is "
		  "\"cpuid_modifiers\"" },
		{ V "\"cpus\":1,\"cpus\":2}", -EBADMSG,
		  "duplicate field `cpus` at line 1 column 28" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(cases[i].text, cases[i].code, cases[i].message);
}

/* As launchers write them: what is null or unknown at the top is passed over. */
static void test_fc_form(void **state)
{
	(void)state;
	parse(&s, "{" BOOT ",\"drives\":[{\"drive_id\":\"/nix/store/disk\",\"is_root_device\":true,"
		  "\"path_on_host\":\"disk\",\"is_read_only\":true,\"cache_type\":\"Unsafe\","
		  "\"partuuid\":null,\"socket\":null}],\"machine-config\":{\"vcpu_count\":2,"
		  "\"mem_size_mib\":256,\"smt\":true,\"cpu_template\":null},"
		  "\"vsock\":null,\"balloon\":null,\"cpu-config\":\"template.json\","
		  "\"network-interfaces\":[{\"iface_id\":\"eth0\",\"host_dev_name\":\"tap0\"}],"
		  "\"mmds-config\":{\"network_interfaces\":[\"eth0\"],\"version\":\"V1\"},"
		  "\"logger\":{\"level\":\"Debug\"},\"entropy\":{},\"something\":{\"else\":1}}");
	assert_string_equal(s.drives[0].id, "/nix/store/disk");
	assert_int_equal(s.cpu_count, 2);
	assert_string_equal(s.cpu_template, "template.json");
	assert_string_equal(s.mmds.net_ids[0], "eth0");
	assert_true(s.has_root_appended && s.entropy.is_present);
	assert_int_equal(s.vsock.guest_cid, 0);
	assert_int_equal(s.logger.level, LOGGER_DEBUG);
}

/* GET /vm/config is a configuration file. */
static void test_fc_round_trip(void **state)
{
	struct settings again;
	char *first, *second;

	(void)state;
	parse(&s, "{" BOOT ",\"drives\":[{\"drive_id\":\"a\",\"is_root_device\":false,"
		  "\"path_on_host\":\"disk\",\"is_read_only\":true,\"io_engine\":\"Async\","
		  "\"rate_limiter\":{\"ops\":{\"size\":5,\"refill_time\":6}}}],"
		  "\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":256,"
		  "\"huge_pages\":\"2M\",\"cpu_template\":\"T2\"},"
		  "\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\","
		  "\"guest_mac\":\"06:00:ac:10:00:02\",\"mtu\":1400}],"
		  "\"pmem\":[{\"id\":\"p\",\"path_on_host\":\"disk\",\"root_device\":true}],"
		  "\"vsock\":{\"guest_cid\":3,\"uds_path\":\"v\"},"
		  "\"balloon\":{\"amount_mib\":1,\"deflate_on_oom\":false},"
		  "\"memory-hotplug\":{\"total_size_mib\":1024},"
		  "\"mmds-config\":{\"network_interfaces\":[\"e\"],\"version\":\"V2\"},"
		  "\"metrics\":{\"metrics_path\":\"m\"},\"logger\":{\"log_path\":\"l\"}}");
	first = dump(settings_to_fc(&s));
	settings_init(&again);
	parse(&again, first);
	second = dump(settings_to_fc(&again));
	assert_string_equal(first, second);
	settings_release(&again);
	free(first);
	free(second);
	assert_round_trip();
}

static void test_fc_refusals(void **state)
{
	static const struct refusal cases[] = {
		{ "{\"drives\":[]}", -EBADMSG,
		  "missing field `boot-source` (and no \"version\": 1, which the form with a "
		  "`kernel` has) at line 1 column 13" },
		{ "{" BOOT "}", -EBADMSG,
		  "missing field `drives` (and no \"version\": 1, which the form with a `kernel` "
		  "has) at line 1 column 46" },
		{ "{\"boot-source\":{\"kernel_image_path\":\"none\"},\"drives\":[]}", -EINVAL,
		  "boot-source: The kernel file cannot be opened: No such file or directory (os "
		  "error 2) at line 1 column 43" },
		{ "{" BOOT ",\"drives\":[],\n\"machine-config\":{\"vcpu_count\":2}}", -EBADMSG,
		  "machine-config: missing field `mem_size_mib` at line 2 column 33" },
		{ "{" BOOT ",\"drives\":{}}", -EBADMSG,
		  "invalid type: map, expected a sequence at line 1 column 55" },
		{ "{" BOOT ",\"drives\":[null]}", -EBADMSG,
		  "drives: invalid type: null, expected struct BlockDeviceConfig at line 1 column "
		  "60" },
		{ "[]", -EBADMSG,
		  "invalid type: sequence, expected a configuration, {...} at line 1 column 0" },
		{ "", -EBADMSG, "EOF while parsing a value at line 1 column 0" },
		{ "{" BOOT ",\"drives\":[],}", -EBADMSG,
		  "string or '}' expected near '}' at line 1 column 59" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refuse(cases[i].text, cases[i].code, cases[i].message);
}

/* A file takes the place of all that was there. */
static void test_load(void **state)
{
	struct err e = { 0 };
	FILE *f = fopen("config.json", "w");

	(void)state;
	assert_non_null(f);
	fputs("{\"version\": 1, \"kernel\": \"vmlinuz\"}\n", f);
	fclose(f);
	parse(&s, volt_text);
	assert_int_equal(config_file_load("config.json", &s, &e), 0);
	assert_string_equal(s.kernel_path, "vmlinuz");
	assert_int_equal(s.cpu_count, 1);
	assert_int_equal(s.nr_drives, 0);
	assert_int_equal(config_file_load("nothing.json", &s, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "configuration file 'nothing.json'"));
	assert_true(config_file_load(".", &s, &e) < 0);
	assert_int_equal(truncate("config.json", CONFIG_FILE_MAX_BYTES + 1), 0);
	assert_int_equal(config_file_load("config.json", &s, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "more than 1048576 bytes"));
	assert_string_equal(s.kernel_path, "vmlinuz");
	assert_int_equal(unlink("config.json"), 0);
}

/* A path may be any bytes: they are shown as far as JSON can. */
static void test_foreign_bytes(void **state)
{
	struct err e = { 0 };
	json_t *json;

	(void)state;
	assert_int_equal(settings_set_text(&s.kernel_path, "/boot/\xff\xfe", &e), 0);
	json = settings_to_volt(&s);
	assert_string_equal(json_string_value(json_object_get(json, "kernel")), "/boot/??");
	json_decref(json);
	json = settings_to_fc(&s);
	assert_non_null(json);
	json_decref(json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_volt_everything),
		TEST(test_volt_defaults),
		TEST(test_volt_keeps_confinement),
		TEST(test_volt_short_forms),
		TEST(test_volt_custom_template),
		TEST(test_volt_refusals),
		TEST(test_fc_form),
		TEST(test_fc_round_trip),
		TEST(test_fc_refusals),
		TEST(test_load),
		TEST(test_foreign_bytes),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

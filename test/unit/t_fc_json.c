/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of Firecracker's API: what each resource takes and what it makes of it, what it refuses
 * and in which words, and what is answered to GET.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "control/json/fc.h"

/* In a folder of its own, where the tests run. */
#define FILE_A "a.img"
#define FILE_B "b.img"

#define DRIVE(id, root, more)                                                             \
	"{\"drive_id\":\"" id "\",\"is_root_device\":" root ",\"path_on_host\":\"" FILE_A \
	"\"" more "}"
#define NET(id, more) "{\"iface_id\":\"" id "\",\"host_dev_name\":\"tap0\"" more "}"
#define NO_FILE "No such file or directory (os error 2)"

static struct settings s;

static char folder[] = "/tmp/t_fc_json.XXXXXX";

static int enter_folder(void **state)
{
	static const char *const paths[] = { FILE_A, FILE_B };

	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		FILE *f = fopen(paths[i], "w");

		if (!f)
			return -1;
		fclose(f);
	}
	return 0;
}

static int leave_folder(void **state)
{
	(void)state;
	return unlink(FILE_A) < 0 || unlink(FILE_B) < 0 || rmdir(folder) < 0 ? -1 : 0;
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

/* With @path_id NULL as in a configuration file. */
static int change_of(fc_change *change, const char *path_id, const char *text, bool *is_deprecated,
		     struct err *e)
{
	struct fc_request r = { .settings = &s, .path_id = path_id };
	struct json_doc doc;
	int err = json_doc_parse(&doc, text, strlen(text), e);

	if (err == 0) {
		r.body = json_doc_root(&doc);
		err = change(&r, e);
	}
	json_doc_release(&doc);
	*is_deprecated = r.is_deprecated;
	return err;
}

static bool accept(fc_change *change, const char *text)
{
	struct err e = { 0 };
	bool is_deprecated;

	if (change_of(change, NULL, text, &is_deprecated, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return is_deprecated;
}

static void refuse(fc_change *change, const char *text, int code, const char *message)
{
	struct err e = { 0 };
	bool is_deprecated;
	json_t *before = settings_to_fc(&s);
	json_t *after;

	assert_int_equal(change_of(change, NULL, text, &is_deprecated, &e), code);
	assert_string_equal(e.msg, message);
	after = settings_to_fc(&s);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

static void assert_json(json_t *json, const char *expected)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
	json_decref(json);
}

static void test_machine(void **state)
{
	(void)state;
	assert_json(fc_machine_get(&s),
		    "{\"huge_pages\":\"None\",\"mem_size_mib\":128,\"smt\":false,"
		    "\"track_dirty_pages\":false,\"vcpu_count\":1}");
	assert_false(accept(fc_machine_put, "{\"vcpu_count\":4,\"mem_size_mib\":256,\"smt\":true,"
					    "\"track_dirty_pages\":true,\"huge_pages\":\"2M\"}"));
	assert_int_equal(s.cpu_count, 4);
	assert_int_equal(s.memory_bytes, 256 * MIB);
	assert_true(s.has_smt && s.has_dirty_log);
	assert_int_equal(s.hugepages, HUGEPAGES_2M);
	assert_json(fc_machine_get(&s), "{\"huge_pages\":\"2M\",\"mem_size_mib\":256,\"smt\":true,"
					"\"track_dirty_pages\":true,\"vcpu_count\":4}");
	/* PATCH changes what it names; PUT has defaults for the rest. */
	accept(fc_machine_patch, "{\"huge_pages\":\"Transparent\",\"smt\":null}");
	assert_int_equal(s.hugepages, HUGEPAGES_THP);
	assert_int_equal(s.cpu_count, 4);
	assert_true(s.has_smt && s.has_dirty_log);
	accept(fc_machine_put, "{\"vcpu_count\":32,\"mem_size_mib\":128}");
	assert_false(s.has_smt || s.has_dirty_log);
	assert_int_equal(s.hugepages, HUGEPAGES_OFF);
}

static void test_machine_refusals(void **state)
{
	static const char cpus[] = "The number of vCPUs must be greater than 0, less than 32 and "
				   "must be 1 or an even number if SMT is enabled.";
	static const char memory[] = "The memory size (MiB) is either 0, or not a multiple of the "
				     "configured page size.";

	(void)state;
	refuse(fc_machine_put, "{\"vcpu_count\":0,\"mem_size_mib\":1}", -EINVAL, cpus);
	refuse(fc_machine_put, "{\"vcpu_count\":33,\"mem_size_mib\":64}", -EINVAL, cpus);
	refuse(fc_machine_put, "{\"vcpu_count\":3,\"mem_size_mib\":64,\"smt\":true}", -EINVAL,
	       cpus);
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":0}", -EINVAL, memory);
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":65,\"huge_pages\":\"2M\"}",
	       -EINVAL, memory);
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":18446744073709551615}", -EINVAL,
	       "The memory size (MiB) is 18446744073709551615; it must be from 16 to 524288.");
	refuse(fc_machine_put, "{\"mem_size_mib\":128}", -EBADMSG,
	       "missing field `vcpu_count` at line 1 column 20");
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":64,\"ht_enabled\":false}",
	       -EBADMSG,
	       "unknown field `ht_enabled`, expected one of `vcpu_count`, `mem_size_mib`, `smt`, "
	       "`cpu_template`, `track_dirty_pages`, `huge_pages` at line 1 column 46");
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":-64}", -EBADMSG,
	       "invalid value: integer `-64`, expected usize at line 1 column 34");
	refuse(fc_machine_put, "{\"vcpu_count\":1,\"mem_size_mib\":64,\"huge_pages\":\"1G\"}",
	       -EBADMSG,
	       "unknown variant `1G`, expected one of `None`, `Transparent`, `2M` at line 1 "
	       "column 51");
	refuse(fc_machine_patch, "{}", -EBADR, "Empty PATCH request.");
	refuse(fc_machine_patch, "{\"smt\":null}", -EBADR, "Empty PATCH request.");
	accept(fc_balloon_put, "{\"amount_mib\":100,\"deflate_on_oom\":false}");
	refuse(fc_machine_patch, "{\"mem_size_mib\":99}", -EINVAL,
	       "The memory size (MiB) is smaller than the previously set balloon device target "
	       "size.");
}

static void test_cpu_templates(void **state)
{
	(void)state;
	assert_true(accept(fc_machine_patch, "{\"cpu_template\":\"T2\"}"));
	assert_string_equal(s.cpu_template, "T2");
	assert_json(fc_machine_get(&s),
		    "{\"cpu_template\":\"T2\",\"huge_pages\":\"None\",\"mem_size_mib\":128,"
		    "\"smt\":false,\"track_dirty_pages\":false,\"vcpu_count\":1}");
	assert_true(accept(fc_machine_patch, "{\"cpu_template\":\"None\"}"));
	assert_null(s.cpu_template);
	refuse(fc_machine_patch, "{\"cpu_template\":\"V1N1\"}", -EINVAL,
	       "The CPU template V1N1 is for aarch64; this host is x86-64.");
	accept(fc_machine_patch, "{\"cpu_template\":\"C3\"}");
	accept(fc_cpu_put, "{\"kvm_capabilities\":[\"!56\"],\"msr_modifiers\":[{\"addr\":\"0x10a\","
			   "\"bitmap\":\"0b1x\"}]}");
	assert_null(s.cpu_template);
	assert_non_null(s.custom_template);
	assert_int_equal(s.custom_template->nr_msrs, 1);
	refuse(fc_cpu_put, "{\"cpuid\":[]}", -EBADMSG,
	       "CPU template 'cpu-config': unknown key 'cpuid'; the nearest is "
	       "\"cpuid_modifiers\"");
	assert_non_null(s.custom_template);
	accept(fc_machine_patch, "{\"cpu_template\":\"T2\"}");
	assert_null(s.custom_template);
}

static void test_boot(void **state)
{
	(void)state;
	accept(fc_boot_put, "{\"kernel_image_path\":\"" FILE_A "\",\"initrd_path\":\"" FILE_B
			    "\",\"boot_args\":\"console=ttyS0\"}");
	assert_string_equal(s.kernel_path, FILE_A);
	assert_string_equal(s.initrd_path, FILE_B);
	assert_string_equal(s.cmdline, "console=ttyS0");
	assert_true(s.has_root_appended);
	accept(fc_boot_put,
	       "{\"kernel_image_path\":\"" FILE_B "\",\"initrd_path\":null,\"boot_args\":null}");
	assert_null(s.initrd_path);
	assert_null(s.cmdline);
	refuse(fc_boot_put, "{\"kernel_image_path\":\"none\"}", -EINVAL,
	       "The kernel file cannot be opened: " NO_FILE);
	refuse(fc_boot_put, "{\"kernel_image_path\":\"\"}", -EINVAL,
	       "The kernel file cannot be opened: " NO_FILE);
	refuse(fc_boot_put, "{\"kernel_image_path\":\"" FILE_A "\",\"initrd_path\":\"none\"}",
	       -EINVAL,
	       "The initrd file cannot be opened due to invalid path or invalid permissions. "
	       ": " NO_FILE);
	refuse(fc_boot_put, "{\"kernel_image_path\":\"" FILE_A "\",\"boot_args\":\"a\\nb\"}",
	       -EINVAL,
	       "The kernel command line is invalid: boot_args 'a?b': control character 0x0a at "
	       "byte 1; separate words with spaces");
	refuse(fc_boot_put, "{\"boot_args\":\"x\"}", -EBADMSG,
	       "missing field `kernel_image_path` at line 1 column 17");
}

static void test_drives(void **state)
{
	(void)state;
	accept(fc_drive_put, DRIVE("data", "false", ""));
	assert_int_equal(s.drives[0].cache, BLOCK_CACHE_UNSAFE);
	assert_int_equal(s.drives[0].engine, BLOCK_ENGINE_SYNC);
	assert_false(s.drives[0].is_read_only);
	accept(fc_drive_put,
	       DRIVE("root", "true",
		     ",\"is_read_only\":true,\"cache_type\":\"Writeback\",\"io_engine\":\"Async\","
		     "\"partuuid\":\"0eaa91a0-01\",\"socket\":null,\"rate_limiter\":{\"bandwidth\":"
		     "{\"size\":1000,\"one_time_burst\":5,\"refill_time\":100},\"ops\":null}"));
	assert_int_equal(s.nr_drives, 2);
	assert_string_equal(s.drives[0].id, "root");
	assert_string_equal(s.drives[0].partuuid, "0eaa91a0-01");
	assert_int_equal(s.drives[0].engine, BLOCK_ENGINE_URING);
	assert_int_equal(s.drives[0].cache, BLOCK_CACHE_WRITEBACK);
	assert_int_equal(s.drives[0].limit.bandwidth.one_time_burst, 5);
	refuse(fc_drive_put, DRIVE("other", "true", ""), -EINVAL,
	       "A root block device already exists!");
	/* The same id again replaces it; an empty partuuid is none. */
	accept(fc_drive_put, DRIVE("data", "false",
				   ",\"is_read_only\":true,\"discard\":false,\"partuuid\":\"\""));
	assert_int_equal(s.nr_drives, 2);
	assert_true(s.drives[1].is_read_only);
	assert_null(s.drives[1].partuuid);
	for (char id[] = "d0"; s.nr_drives < WIRE_MAX_DRIVES; id[1]++) {
		char body[256];

		snprintf(body, sizeof(body), DRIVE("%s", "false", ""), id);
		accept(fc_drive_put, body);
	}
	refuse(fc_drive_put, DRIVE("last", "false", ""), -EINVAL,
	       "Too many drives: at most 16 fit.");
}

static void test_drive_refusals(void **state)
{
	struct err e = { 0 };
	bool is_deprecated;

	(void)state;
	refuse(fc_drive_put,
	       "{\"drive_id\":\"a\",\"is_root_device\":false,\"path_on_host\":\"none\"}", -EINVAL,
	       "Unable to create the virtio block device: Virtio backend error: Error manipulating "
	       "the backing file: " NO_FILE " 'none'");
	refuse(fc_drive_put, "{\"drive_id\":\"a\",\"is_root_device\":false}", -EINVAL,
	       "Unable to create the virtio block device: Invalid block config.");
	refuse(fc_drive_put, "{\"drive_id\":\"a\",\"is_root_device\":false,\"socket\":\"/s.sock\"}",
	       -EINVAL,
	       "Drive 'a': vhost-user drives (socket) are not supported; give path_on_host.");
	refuse(fc_drive_put, DRIVE("", "false", ""), -EINVAL, "The ID cannot be empty.");
	refuse(fc_drive_put, DRIVE("a\\tb", "false", ""), -EINVAL,
	       "The id 'a?b' holds a control character.");
	refuse(fc_drive_put, DRIVE("a", "true", ",\"partuuid\":\"1 init=/bin/sh\""), -EINVAL,
	       "'1 init=/bin/sh' is no partition's UUID.");
	refuse(fc_drive_put, DRIVE("a", "true", ",\"cache_type\":\"unsafe\""), -EBADMSG,
	       "unknown variant `unsafe`, expected `Unsafe` or `Writeback` at line 1 column 82");
	refuse(fc_drive_put, DRIVE("a", "true", ",\"rate_limiter\":{\"bandwidth\":{\"size\":1}}"),
	       -EBADMSG, "missing field `refill_time` at line 1 column 99");
	refuse(fc_drive_put, DRIVE("a", "true", ",\"rate_limiter\":{\"iops\":{}}"), -EBADMSG,
	       "unknown field `iops`, expected `bandwidth` or `ops` at line 1 column 83");
	assert_int_equal(change_of(fc_drive_put, "b", DRIVE("a", "true", ""), &is_deprecated, &e),
			 -EBADR);
	assert_string_equal(e.msg, "The id from the path does not match the id from the body!");
	assert_int_equal(s.nr_drives, 0);
	/* A malformed body is found before the id is looked at. */
	assert_int_equal(change_of(fc_drive_put, "b", "{\"drive_id\":\"a\"}", &is_deprecated, &e),
			 -EBADMSG);
}

/* Configuration files may use paths as ids; machine has room for 64 bytes. */
static void test_long_drive_ids(void **state)
{
#define LONG "/nix/store/0123456789abcdefghijklmnopqrstuv-microvm-store-disk/very/long.erofs"
	struct err e = { 0 };
	bool is_deprecated;

	(void)state;
	accept(fc_drive_put, DRIVE(LONG, "false", ""));
	assert_string_equal(s.drives[0].id, &LONG[sizeof(LONG) - WIRE_ID_BYTES]);
	refuse(fc_drive_put, DRIVE("x" LONG, "false", ""), -EINVAL,
	       "Two drive ids end in "
	       "'3456789abcdefghijklmnopqrstuv-microvm-store-disk/very/long.erofs'.");
	assert_int_equal(
		change_of(fc_drive_put, LONG, DRIVE(LONG, "false", ""), &is_deprecated, &e),
		-EINVAL);
}

static void test_pmem(void **state)
{
	(void)state;
	accept(fc_pmem_put, "{\"id\":\"p0\",\"path_on_host\":\"" FILE_A
			    "\",\"root_device\":true,\"read_only\":true,\"rate_limiter\":{}}");
	refuse(fc_pmem_put, "{\"id\":\"p1\",\"path_on_host\":\"" FILE_A "\",\"root_device\":true}",
	       -EINVAL, "A root pmem device already exist");
	refuse(fc_pmem_put, "{\"id\":\"p1\",\"path_on_host\":\"none\"}", -EINVAL,
	       "Error manipulating the backing file: " NO_FILE " 'none'");
	refuse(fc_drive_put, DRIVE("a", "true", ""), -EINVAL, "A root pmem device already exist");
	accept(fc_pmem_put, "{\"id\":\"p0\",\"path_on_host\":\"" FILE_A "\"}");
	assert_int_equal(s.nr_pmems, 1);
	accept(fc_drive_put, DRIVE("a", "true", ""));
	refuse(fc_pmem_put, "{\"id\":\"p0\",\"path_on_host\":\"" FILE_A "\",\"root_device\":true}",
	       -EINVAL,
	       "Attempt to add pmem as a root device while the root device defined as a block "
	       "device");
}

static void test_nets(void **state)
{
	struct err e = { 0 };
	bool is_deprecated;

	(void)state;
	accept(fc_net_put, NET("eth0", ",\"guest_mac\":\"06:00:AC:10:00:02\",\"mtu\":1500,"
				       "\"rx_rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":2,"
				       "\"extra\":0}}"));
	assert_int_equal(s.nets[0].mac[2], 0xac);
	assert_int_equal(s.nets[0].mtu, 1500);
	assert_int_equal(s.nets[0].rx_limit.ops.refill_ms, 2);
	refuse(fc_net_put, NET("eth1", ",\"guest_mac\":\"06:00:ac:10:00:02\""), -EINVAL,
	       "The MAC address is already in use: 06:00:ac:10:00:02");
	accept(fc_net_put, NET("eth0", ",\"guest_mac\":\"06:00:ac:10:00:02\""));
	assert_int_equal(s.nr_nets, 1);
	assert_int_equal(s.nets[0].mtu, 0);
	refuse(fc_net_put, NET("eth1", ",\"guest_mac\":\"06:00:ac:10:00\""), -EBADMSG,
	       "The provided MAC address is invalid. at line 1 column 70");
	refuse(fc_net_put, NET("eth1", ",\"mtu\":67"), -EINVAL,
	       "Could not create the network device: the MTU 67 is below 68.");
	refuse(fc_net_put, "{\"iface_id\":\"a\",\"host_dev_name\":\"a/../b\"}", -EINVAL,
	       "Could not create the network device: 'a/../b' is no name of an interface.");
	refuse(fc_net_put, "{\"iface_id\":\"a\",\"host_dev_name\":\"0123456789abcdef\"}", -EINVAL,
	       "Could not create the network device: '0123456789abcdef' is no name of an "
	       "interface.");
	assert_int_equal(change_of(fc_net_put, "a", NET("b", ""), &is_deprecated, &e), -EBADR);
	assert_string_equal(e.msg,
			    "The id from the path [a] does not match the id from the body [b]!");
}

static void test_mmds(void **state)
{
	(void)state;
	accept(fc_net_put, NET("eth0", ""));
	assert_true(accept(fc_mmds_put, "{\"network_interfaces\":[\"eth0\"]}"));
	assert_false(accept(fc_mmds_put, "{\"version\":\"V2\",\"network_interfaces\":[\"eth0\"],"
					 "\"ipv4_address\":\"169.254.7.7\",\"imds_compat\":true}"));
	assert_true(s.mmds.is_v2 && s.mmds.has_imds_compat);
	assert_int_equal(s.mmds.ipv4[2], 7);
	refuse(fc_mmds_put, "{\"network_interfaces\":[]}", -EINVAL,
	       "The list of network interface IDs that allow forwarding MMDS requests is empty.");
	refuse(fc_mmds_put, "{\"network_interfaces\":[\"eth0\",\"eth1\"]}", -EINVAL,
	       "The list of network interface IDs provided contains at least one ID that does not "
	       "correspond to any existing network interface.");
	refuse(fc_mmds_put, "{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"10.0.0.1\"}",
	       -EINVAL, "The MMDS IPv4 address is not link local.");
	refuse(fc_mmds_put, "{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"169.254.0.1\"}",
	       -EINVAL, "The MMDS IPv4 address is not link local.");
	refuse(fc_mmds_put, "{\"network_interfaces\":[\"eth0\"],\"ipv4_address\":\"169.254.7\"}",
	       -EBADMSG, "invalid IPv4 address syntax at line 1 column 57");
	refuse(fc_mmds_put, "{\"network_interfaces\":\"eth0\"}", -EBADMSG,
	       "invalid type: string \"eth0\", expected a sequence at line 1 column 28");
}

static void test_vsock(void **state)
{
	(void)state;
	assert_false(accept(fc_vsock_put, "{\"guest_cid\":3,\"uds_path\":\"v.sock\"}"));
	assert_true(accept(fc_vsock_put,
			   "{\"vsock_id\":\"\",\"guest_cid\":4,\"uds_path\":\"w.sock\"}"));
	assert_false(accept(fc_vsock_put,
			    "{\"vsock_id\":null,\"guest_cid\":4,\"uds_path\":\"w.sock\"}"));
	assert_int_equal(s.vsock.guest_cid, 4);
	refuse(fc_vsock_put, "{\"guest_cid\":2,\"uds_path\":\"v\"}", -EINVAL,
	       "The guest CID is 2; it must be from 3 to 4294967294.");
	refuse(fc_vsock_put, "{\"guest_cid\":4294967295,\"uds_path\":\"v\"}", -EINVAL,
	       "The guest CID is 4294967295; it must be from 3 to 4294967294.");
	refuse(fc_vsock_put, "{\"guest_cid\":3,\"uds_path\":\"\"}", -EINVAL,
	       "The path of the socket has 0 bytes; it must have 1 to 107.");
}

static void test_balloon(void **state)
{
	(void)state;
	refuse(fc_balloon_patch, "{\"amount_mib\":1}", -EINVAL, "No balloon device found.");
	refuse(fc_balloon_put, "{\"amount_mib\":129,\"deflate_on_oom\":true}", -EINVAL,
	       "Amount of pages requested is too large.");
	refuse(fc_balloon_put, "{\"amount_mib\":1}", -EBADMSG,
	       "missing field `deflate_on_oom` at line 1 column 16");
	accept(fc_balloon_put, "{\"amount_mib\":64,\"deflate_on_oom\":true}");
	refuse(fc_balloon_stats_patch, "{\"stats_polling_interval_s\":1}", -EINVAL,
	       "Cannot enable/disable the statistics after boot.");
	accept(fc_balloon_put, "{\"amount_mib\":64,\"deflate_on_oom\":true,"
			       "\"stats_polling_interval_s\":5,\"free_page_reporting\":true}");
	accept(fc_balloon_stats_patch, "{\"stats_polling_interval_s\":1}");
	accept(fc_balloon_patch, "{\"amount_mib\":128}");
	refuse(fc_balloon_patch, "{\"amount_mib\":129}", -EINVAL,
	       "Amount of pages requested is too large.");
	refuse(fc_balloon_patch, "{\"amount_mib\":1,\"deflate_on_oom\":true}", -EBADMSG,
	       "unknown field `deflate_on_oom`, expected `amount_mib` at line 1 column 32");
	assert_json(fc_balloon_get(&s),
		    "{\"amount_mib\":128,\"deflate_on_oom\":true,\"free_page_hinting\":false,"
		    "\"free_page_reporting\":true,\"stats_polling_interval_s\":1}");
}

static void test_memory_hotplug(void **state)
{
	struct fc_request r = { .settings = &s };
	struct err e = { 0 };
	struct json_doc doc;
	uint32_t requested = 0;

	(void)state;
	refuse(fc_memory_put, "{\"total_size_mib\":1024,\"block_size_mib\":1}", -EINVAL,
	       "Block size must not be lower than 2 MiB");
	refuse(fc_memory_put, "{\"total_size_mib\":1024,\"block_size_mib\":3}", -EINVAL,
	       "Block size must be a power of 2");
	refuse(fc_memory_put, "{\"total_size_mib\":1024,\"slot_size_mib\":1}", -EINVAL,
	       "Slot size must not be lower than 128 MiB");
	refuse(fc_memory_put,
	       "{\"total_size_mib\":1024,\"block_size_mib\":4,\"slot_size_mib\":130}", -EINVAL,
	       "Slot size must be a multiple of block size (4 MiB)");
	refuse(fc_memory_put, "{\"total_size_mib\":64}", -EINVAL,
	       "Total size must not be lower than slot size (128 MiB)");
	refuse(fc_memory_put, "{\"total_size_mib\":1000}", -EINVAL,
	       "Total size must be a multiple of slot size (128 MiB)");
	/* In bytes this is 0 modulo 2^64. */
	refuse(fc_memory_put, "{\"total_size_mib\":17592186044416}", -EINVAL,
	       "Total size must not be higher than 524288 MiB");
	accept(fc_memory_put, "{\"total_size_mib\":1024}");
	assert_json(fc_memory_get(&s, 2, 4),
		    "{\"block_size_mib\":2,\"plugged_size_mib\":2,\"requested_size_mib\":4,"
		    "\"slot_size_mib\":128,\"total_size_mib\":1024}");
	assert_int_equal(json_doc_parse(&doc, "{\"requested_size_mib\":1026}", 27, &e), 0);
	r.body = json_doc_root(&doc);
	assert_int_equal(fc_memory_patch(&r, &requested, &e), -EINVAL);
	json_doc_release(&doc);
	assert_int_equal(json_doc_parse(&doc, "{\"requested_size_mib\":512}", 26, &e), 0);
	r.body = json_doc_root(&doc);
	assert_int_equal(fc_memory_patch(&r, &requested, &e), 0);
	assert_int_equal(requested, 512);
	json_doc_release(&doc);
}

static void test_logs(void **state)
{
	(void)state;
	accept(fc_logger_put, "{}");
	assert_true(s.logger.is_present);
	assert_int_equal(s.logger.level, LOGGER_INFO);
	accept(fc_logger_put, "{\"level\":\"wArNiNg\",\"log_path\":\"/log\",\"show_level\":true}");
	assert_int_equal(s.logger.level, LOGGER_WARN);
	/* What a later request does not name stays. */
	accept(fc_logger_put, "{\"show_log_origin\":true,\"module\":\"api\"}");
	assert_int_equal(s.logger.level, LOGGER_WARN);
	assert_true(s.logger.has_level_shown && s.logger.has_origin_shown);
	assert_string_equal(s.logger.path, "/log");
	refuse(fc_logger_put, "{\"level\":\"loud\"}", -EBADMSG,
	       "Invalid LevelFilter at line 1 column 15");
	accept(fc_metrics_put, "{\"metrics_path\":\"/m\",\"emit_id\":true,\"unknown\":[1],"
			       "\"properties\":{\"a\":\"b\"}}");
	assert_string_equal(s.metrics.path, "/m");
	assert_string_equal(s.metrics.properties, "{\"a\":\"b\"}");
	refuse(fc_metrics_put, "{\"metrics_path\":\"/m\",\"properties\":{\"a\":\"b\",\"c\":1}}",
	       -EBADMSG, "invalid type: integer `1`, expected a string at line 1 column 48");
	refuse(fc_metrics_put, "{}", -EBADMSG, "missing field `metrics_path` at line 1 column 2");
	accept(fc_serial_put, "{\"serial_out_path\":\"/s\",\"rate_limiter\":{\"size\":10,"
			      "\"refill_time\":100}}");
	assert_int_equal(s.console.kind, CONSOLE_FILE);
	assert_int_equal(s.console.limit.size, 10);
	accept(fc_serial_put, "{\"serial_out_path\":null}");
	assert_int_equal(s.console.kind, CONSOLE_STDIO);
	assert_null(s.console.path);
}

/* Runs @read on the root of @text, whose strings the caller does not keep. */
#define WITH_BODY(text, call)                                                       \
	do {                                                                        \
		struct json_doc doc_;                                               \
		assert_int_equal(json_doc_parse(&doc_, text, strlen(text), &e), 0); \
		const struct json_node body = json_doc_root(&doc_);                 \
		const struct fc_request request = { .settings = &s, .body = body }; \
		(void)request;                                                      \
		call;                                                               \
		json_doc_release(&doc_);                                            \
	} while (0)

static void test_patches(void **state)
{
	struct fc_drive_patch drive;
	struct fc_net_patch net;
	struct err e = { 0 };

	(void)state;
	WITH_BODY("{\"drive_id\":\"a\",\"path_on_host\":\"p\",\"rate_limiter\":{\"bandwidth\":"
		  "{\"size\":0,\"refill_time\":0}}}",
		  assert_int_equal(fc_drive_patch(&request, &drive, &e), 0);
		  assert_string_equal(drive.path, "p"));
	/* Zeroes switch a limit off; a bucket that is not there stays as it is. */
	assert_true(drive.limit.has_bandwidth);
	assert_false(drive.limit.has_ops);
	assert_int_equal(drive.limit.limit.bandwidth.size, 0);
	WITH_BODY("{\"drive_id\":\"a\",\"rate_limiter\":{}}",
		  assert_int_equal(fc_drive_patch(&request, &drive, &e), 0));
	assert_null(drive.path);
	assert_false(drive.limit.has_bandwidth || drive.limit.has_ops);
	WITH_BODY("{\"drive_id\":\"a\",\"is_read_only\":true}",
		  assert_int_equal(fc_drive_patch(&request, &drive, &e), -EBADMSG));
	WITH_BODY(
		"{\"iface_id\":\"a\",\"tx_rate_limiter\":{\"ops\":{\"size\":9,\"refill_time\":1}}}",
		assert_int_equal(fc_net_patch(&request, &net, &e), 0));
	assert_false(net.rx_limit.has_ops);
	assert_true(net.tx_limit.has_ops);
	assert_int_equal(net.tx_limit.limit.ops.size, 9);
}

static void test_actions(void **state)
{
	enum fc_action action = FC_ACTION_FLUSH_METRICS;
	struct err e = { 0 };
	bool is_paused = false;

	(void)state;
	WITH_BODY("{\"action_type\":\"InstanceStart\"}",
		  assert_int_equal(fc_action(&body, &action, &e), 0));
	assert_int_equal(action, FC_ACTION_START);
	WITH_BODY("{\"action_type\":\"SendCtrlAltDel\"}",
		  assert_int_equal(fc_action(&body, &action, &e), 0));
	assert_int_equal(action, FC_ACTION_CTRL_ALT_DEL);
	WITH_BODY("{\"action_type\":\"Reboot\"}",
		  assert_int_equal(fc_action(&body, &action, &e), -EBADMSG));
	assert_string_equal(e.msg, "unknown variant `Reboot`, expected one of `FlushMetrics`, "
				   "`InstanceStart`, `SendCtrlAltDel` at line 1 column 23");
	WITH_BODY("{\"state\":\"Paused\"}",
		  assert_int_equal(fc_vm_state(&body, &is_paused, &e), 0));
	assert_true(is_paused);
	WITH_BODY("{\"state\":\"Resumed\"}",
		  assert_int_equal(fc_vm_state(&body, &is_paused, &e), 0));
	assert_false(is_paused);
}

static void test_snapshots(void **state)
{
	struct fc_snapshot_create create;
	struct fc_snapshot_load load;
	struct err e = { 0 };
	bool is_deprecated = false;

	(void)state;
	WITH_BODY("{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\",\"version\":\"1.0.0\"}",
		  assert_int_equal(fc_snapshot_create(&body, &create, &e), 0));
	assert_false(create.is_diff);
	WITH_BODY("{\"snapshot_path\":\"s\",\"mem_backend\":{\"backend_path\":\"u\","
		  "\"backend_type\":\"Uffd\"},\"resume_vm\":true,\"huge_pages\":\"2M\","
		  "\"network_overrides\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\",\"x\":1}]}",
		  assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), 0);
		  assert_string_equal(load.memory_path, "u"));
	assert_true(load.is_uffd && load.is_resumed && !is_deprecated);
	assert_int_equal(load.nr_nets, 1);
	assert_int_equal(load.pages, FC_LOAD_PAGES_2M);
	WITH_BODY(
		"{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\",\"enable_diff_snapshots\":true}",
		assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), 0));
	assert_true(is_deprecated && load.has_dirty_log && !load.is_uffd);
	WITH_BODY("{\"snapshot_path\":\"s\"}",
		  assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), -EBADMSG));
	assert_string_equal(e.msg, "missing field: either `mem_backend` or `mem_file_path` is "
				   "required");
	WITH_BODY("{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\",\"mem_backend\":{"
		  "\"backend_path\":\"u\",\"backend_type\":\"File\"}}",
		  assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), -EBADMSG));
	assert_string_equal(e.msg, "too many fields: either `mem_backend` or `mem_file_path` "
				   "exclusively is required");
	WITH_BODY("{\"snapshot_path\":\"s\",\"mem_file_path\":\"m\",\"huge_pages\":\"2M\"}",
		  assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), -EINVAL));
	WITH_BODY("{\"snapshot_path\":\"s\",\"mem_backend\":{\"backend_path\":\"u\","
		  "\"backend_type\":\"foo\"}}",
		  assert_int_equal(fc_snapshot_load(&body, &load, &is_deprecated, &e), -EBADMSG));
	assert_string_equal(e.msg, "unknown variant `foo`, expected `File` or `Uffd` at line 1 "
				   "column 75");
}

static void test_vm_config(void **state)
{
	(void)state;
	assert_json(settings_to_fc(&s),
		    "{\"balloon\":null,\"boot-source\":{\"boot_args\":null,\"initrd_path\":null,"
		    "\"kernel_image_path\":\"\"},\"cpu-config\":null,\"drives\":[],"
		    "\"entropy\":null,\"logger\":null,\"machine-config\":{\"huge_pages\":\"None\","
		    "\"mem_size_mib\":128,\"smt\":false,\"track_dirty_pages\":false,"
		    "\"vcpu_count\":1},\"memory-hotplug\":null,\"metrics\":null,"
		    "\"mmds-config\":null,\"network-interfaces\":[],\"pmem\":[],\"vsock\":null}");
	accept(fc_drive_put, DRIVE("a", "true", ""));
	accept(fc_entropy_put, "{\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":2}}}");
	accept(fc_vsock_put, "{\"guest_cid\":3,\"uds_path\":\"v\"}");
	assert_json(settings_to_fc(&s),
		    "{\"balloon\":null,\"boot-source\":{\"boot_args\":null,\"initrd_path\":null,"
		    "\"kernel_image_path\":\"\"},\"cpu-config\":null,\"drives\":[{\"cache_type\":"
		    "\"Unsafe\",\"drive_id\":\"a\",\"io_engine\":\"Sync\",\"is_read_only\":false,"
		    "\"is_root_device\":true,\"partuuid\":null,\"path_on_host\":\"" FILE_A
		    "\",\"rate_limiter\":null,\"socket\":null}],\"entropy\":{\"rate_limiter\":"
		    "{\"bandwidth\":null,\"ops\":{\"one_time_burst\":null,\"refill_time\":2,"
		    "\"size\":1}}},\"logger\":null,\"machine-config\":{\"huge_pages\":\"None\","
		    "\"mem_size_mib\":128,\"smt\":false,\"track_dirty_pages\":false,"
		    "\"vcpu_count\":1},\"memory-hotplug\":null,\"metrics\":null,"
		    "\"mmds-config\":null,\"network-interfaces\":[],\"pmem\":[],"
		    "\"vsock\":{\"guest_cid\":3,\"uds_path\":\"v\"}}");
}

/* The work for a long body grows with its length, not with the square of it. */
static void test_many_members(void **state)
{
	enum { MEMBERS = 60000 };
	char *text = malloc((size_t)MEMBERS * 16 + 100);
	char *end = stpcpy(text, "{\"metrics_path\":\"m\",\"properties\":{\"a\":\"\"");

	(void)state;
	for (int i = 0; i < MEMBERS; i++)
		end += sprintf(end, ",\"%d\":\"\"", i);
	stpcpy(end, "}}");
	accept(fc_metrics_put, text);
	stpcpy(end, ",\"b\":0}}");
	refuse(fc_metrics_put, text, -EBADMSG,
	       "invalid type: integer `0`, expected a string at line 1 column 648936");
	free(text);
}

static void test_prefixes(void **state)
{
	(void)state;
	assert_string_equal(fc_prefix(fc_drive_put), "Drive config error: ");
	assert_string_equal(fc_prefix(fc_mmds_put), "MMMDS config error: ");
	assert_string_equal(fc_prefix(fc_balloon_stats_patch), "Balloon update error: ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_machine),	   TEST(test_machine_refusals),
		TEST(test_cpu_templates),  TEST(test_boot),
		TEST(test_drives),	   TEST(test_drive_refusals),
		TEST(test_long_drive_ids), TEST(test_pmem),
		TEST(test_nets),	   TEST(test_mmds),
		TEST(test_vsock),	   TEST(test_balloon),
		TEST(test_memory_hotplug), TEST(test_logs),
		TEST(test_patches),	   TEST(test_actions),
		TEST(test_snapshots),	   TEST(test_vm_config),
		TEST(test_many_members),   TEST(test_prefixes),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

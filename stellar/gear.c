/* SPDX-License-Identifier: Apache-2.0 */
/* The gear hash: see gear.h. */
#include "stellar/gear.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

typedef size_t gear_find_fn(const uint8_t *data, size_t from, size_t to, uint64_t mask);

const uint64_t gear_table[256] = {
	0x26abbbb4bb78baf8, 0x2c8c68b62155327e, 0x818899dc2e1d9cb4, 0x084f05b9b5b8ad44,
	0x6ccdfdc7af34236d, 0x0f2a7c308d47d80f, 0xb2e6184c1792e07c, 0xcb2ba5a2a2398262,
	0xa4355598f194db6e, 0x1266e3d563d63f4a, 0xe24acfab41ed6b4f, 0x5fe9180b99177972,
	0x9ca25a628e89d756, 0xa9f45ca1ed29ff94, 0x26c07883f7b15a2d, 0x5cbdbfe8e4224e76,
	0xd59236ad46f4f72f, 0x7303bf9f77c3dda3, 0x68117b224ea8eed0, 0x4bbde40b6fb7f83a,
	0xd6d4d2e98906c0c1, 0x10f8379c431cad62, 0x95420f7d08ca37cb, 0x237cc62e95b1b7df,
	0x575df3abf8e9e779, 0x06a615b0462aff87, 0x29738931210c02bc, 0x10d2952a6e9adae6,
	0xe9dc457a27b4e0a4, 0xa0a0804bacf792e9, 0xdc068a33af467aa3, 0x2b93a5e4a4fbf41a,
	0xb2386887ae0a00da, 0x61d338e049a0921c, 0x0402ae945394522b, 0x70e48de5e99a2832,
	0xcc5272445ce12ab1, 0x5b1d348e84ced25e, 0x348b97d3e9a99969, 0xad816ccb13dbf717,
	0x7ed04a6f2bf56246, 0xd3e1f6d172427714, 0x28aaca9ebf57bc11, 0x671959c701f4f0b0,
	0x13627d3f9ee39622, 0xc007826bf0222a9a, 0x0527db03a4ad9b13, 0x464927969d47576d,
	0x63400931fbebae35, 0xda0bc6b2f701d079, 0x006fc76d1cd8863f, 0xa12733a7b0f9d00a,
	0xcb6f3d4f7c319dc8, 0x11d1563b070263e7, 0x59361ff74704838c, 0xf8b711db85e35fbe,
	0x2e4c2ce142caf760, 0x37ce3d2eb8b5d29b, 0x573f25c4271565c8, 0xb65c5582d94de269,
	0x4cab0c4a5f4fd0d4, 0x475ac55f474b1828, 0xfac47f0237ca03ff, 0x65b69789e97e40e6,
	0x20277cd887c16caf, 0xa073d355a9c92ec2, 0x67c015826b757963, 0xe3c755381655f82e,
	0x330c83ec90a1c00e, 0x32980978062af73d, 0x236851a5c9182b28, 0xefcdb1df73a0465a,
	0x35fc7cbdd3d32dea, 0x6e148879ae069897, 0x681135b2306ba662, 0xc1aa8a2d0efee953,
	0x569288eebbe81651, 0x42ee3f123f83e993, 0x481601f71c5db3dc, 0xa93399ba88bd02d8,
	0x9f5c31cea218f2fe, 0x7b2827f0f92f49ec, 0x902780a2baf61c73, 0x38b7de16102cdbf4,
	0x3facd9c87c39418e, 0xf0d427cb54e8e48e, 0xb790c8e528c4f915, 0x2da7b95ea49249fa,
	0xd08b32ee6da2e508, 0xa930f183a8f35875, 0xaf382e121a8edd17, 0x1e94df4782dff520,
	0xffcdac570a85ae29, 0xe42b46e94bf12b57, 0x6b1399d9e052487e, 0x24bf86a463ab54d0,
	0x6eb6a98ca55a29f1, 0xdd9fea37cfc87afa, 0xa8ff767a6aaaaf89, 0xf37ed7d9094e1d7f,
	0xa5e1e776fddeedbd, 0x7f5af2471c16d3c6, 0xc5e714a5c5b40d2e, 0x13946d9321115b6b,
	0xc797f3c6036ced8f, 0x44bd53d9773852d7, 0x725c345b3e1938e2, 0xffacf78c54e75102,
	0xc168209ce950f10f, 0xf91119a6938a9f47, 0x995e7e3a072b9456, 0xb53621de74d5b4f4,
	0x78b2ebd1d63d93a1, 0x1274b63d7fbc69c6, 0x7c5bc038943db7c0, 0x293afc14a7038b55,
	0xa80cea6fce67e001, 0x89a947e7b1415ec6, 0x7b25038e4ccbdccc, 0xc2ce7c20e99c0c3b,
	0x8b148d7cd2c626e9, 0xf9cdedce2140fccd, 0x99da610f328f2cd8, 0x0f794612b4e9a7c1,
	0x990b3d7250510ea0, 0xc797bc6cdfe42588, 0x752c4439b53fd437, 0x678895aecb930275,
	0x45b9404fb2e064b0, 0xf1d11f06847677e3, 0xce67a6276a5103c2, 0x857c606a579fffcb,
	0xd940109536c02608, 0x2b3149dad91b5eaa, 0x4cd7d87ecd720517, 0x75020693cd84c277,
	0xc40b98bfdc3b3943, 0xcf4e6a27396d1da9, 0x9387e372a642c207, 0x8980c5ce5e9423b9,
	0x05c7c725376579ae, 0x91c97130883280fb, 0xe740f119406c2153, 0x90b4942a5bc345ec,
	0x7b2637760492fb02, 0xb71e1c5162246619, 0xc18bf204b42f0d53, 0x95419780ebb67872,
	0xa1e3bf64e40ab93b, 0xc7dd7ef984a415c3, 0x480862471ca4ead2, 0xe222ecd4636432ea,
	0xab2b167cce6048fc, 0xbe78b092a074a63c, 0x47475501686c8517, 0xca6a622420cdde4f,
	0x58458c9f70e5b793, 0xc7bc5b9000287b64, 0x7a56c38158794b0b, 0x5679e49b56208c7c,
	0xedcb4dda3df03b5e, 0xdf5b8961f8c3a129, 0x3547ee03786795e4, 0xfb068227f510309f,
	0x1468edfa86cf024e, 0xdf77ddcf084065b2, 0x8dbb05ba57cb13e9, 0xac37b22b5c10659c,
	0xd1138fa90f9baeb1, 0x07a5e34bb303d163, 0xd5b7bc9a85330898, 0x1f95e38937bba4bb,
	0x44dc26f318025255, 0x2a5fdd941c20eb49, 0xb138a4fb27fbb9fe, 0x92c7482da72713ec,
	0x146bb55498724b00, 0x23434a5f8ab1086c, 0x860a93ec6d40d5ba, 0x5766bf89b1e3c2c6,
	0x6c4351d07d865852, 0x7247c35e216e9df9, 0xd3cd503c369c4c21, 0x45ac32df768d612d,
	0x17eb63a52d289345, 0x55ef71b6fd88da90, 0xddd61854ad13f69a, 0xd0ebc1e951ac1681,
	0x573ad53baeee5198, 0x69aa82adcb407c6e, 0x39d8f6b7fb2f1f29, 0x15335ab0b4e113bb,
	0x05a398d3c0de1457, 0x92c5b55ee5d515d8, 0x0d22fc860993025d, 0xd0f4cc6e9262903c,
	0xd7d72f527378f7b5, 0x6c08b217c9e18149, 0x727f911a2416554e, 0xb0584a38ae06292a,
	0x4afd514f61e8d186, 0x583ea8518ef0ec7e, 0x9be5231ae8419e91, 0xa471fbb1c2d3e2eb,
	0x3c58c5b091594790, 0x5cf94c61ae05cea6, 0xc7d1cf31964ab1ef, 0x82a9c9da7189cc36,
	0x6ddb43f3f6aba800, 0xa8b2d77fbf4c8f1d, 0x0269e8ee3cfd12e9, 0x64d19e3473231513,
	0x9675eb835b4f0cdf, 0xf44184541d386126, 0xa0f246fe643cf8fd, 0x3e8cf56f6c8e08f3,
	0x02486a0b1b6ffdbf, 0xc9e72121f57d0251, 0x8e4aee388cd56fa4, 0x15fdc8a76f8610c9,
	0x84625302b07a5f9e, 0x8a6dbd0b1a89157b, 0x2062b1e63a53291b, 0x7253d54357efaecc,
	0xf1041cbd724e3acb, 0x30236c6f36bfed00, 0x9d20b65e4b9cf092, 0x8e2c484b11f0d6a3,
	0xafa5068bcc3b510c, 0x39679dea2bb1a474, 0xd405fae9b6c14191, 0x7f4635556040c9e9,
	0xf85d5cf131f11db2, 0xb6164c60a438d036, 0x8dc6817ea469ff52, 0x8b92be08aaea4e84,
	0xed55110ffdcd05e3, 0xce512e140843adbe, 0xf3b77faf40889812, 0x14dc42b03e452872,
	0x33a69c9f24333975, 0xf0b06658f07b05a0, 0xd420ad1c18817b94, 0x9e22a3086505cd74,
	0x55853639fcd8b0c3, 0x926fac2e30436cd8, 0x4c83d42e8d248d05, 0x21f14cb79299b882,
	0xe96c697c24402cb8, 0x463104dd75bd8d31, 0xd8eb2220875a1c21, 0x4aa14af4a7116ea9,
	0xc139ab571169a220, 0x0936baa686add974, 0x186f0b45486aef6e, 0xf574b97d03583b14,
};

/* The hash of position @at: that of the bytes [@at - GEAR_WINDOW, @at). */
static uint64_t hash_at(const uint8_t *data, size_t at)
{
	uint64_t hash = 0;

	for (size_t i = at - GEAR_WINDOW; i < at; i++)
		hash = (hash << 1) + gear_table[data[i]];
	return hash;
}

size_t gear_find_scalar(const uint8_t *data, size_t from, size_t to, uint64_t mask)
{
	uint64_t hash;

	if (from >= to)
		return to;
	hash = hash_at(data, from);
	for (size_t at = from; at < to; at++) {
		if (!(hash & mask))
			return at;
		hash = (hash << 1) + gear_table[data[at]];
	}
	return to;
}

bool gear_has_avx512(void)
{
#if defined(__x86_64__)
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#else
	return false;
#endif
}

static gear_find_fn *chosen; /* written once, by choose() */

/* Nanoseconds of the best of a few searches in vain. */
static int64_t time_search(gear_find_fn *find)
{
	enum { ROUNDS = 4, COPIES = 4 };
	uint8_t data[COPIES * sizeof(gear_table)]; /* numbers that look random */
	int64_t best = INT64_MAX;

	for (size_t i = 0; i < COPIES; i++)
		memcpy(data + i * sizeof(gear_table), gear_table, sizeof(gear_table));
	for (size_t i = 0; i < ROUNDS; i++) {
		struct timespec begin, end;
		int64_t ns;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		(void)find(data, GEAR_WINDOW, sizeof(data), UINT64_MAX);
		clock_gettime(CLOCK_MONOTONIC, &end);
		ns = (end.tv_sec - begin.tv_sec) * INT64_C(1000000000) + end.tv_nsec -
		     begin.tv_nsec;
		best = ns < best ? ns : best;
	}
	return best;
}

static void choose(void)
{
	chosen = gear_find_scalar;
	if (gear_has_avx512() && time_search(gear_find_avx512) < time_search(gear_find_scalar))
		chosen = gear_find_avx512;
}

size_t gear_find(const uint8_t *data, size_t from, size_t to, uint64_t mask)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, choose);
	return chosen(data, from, to, mask);
}

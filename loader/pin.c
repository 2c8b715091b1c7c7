// SPDX-License-Identifier: Apache-2.0
#include "loader/pin.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/scan.h"
#include "loader/dropped.h"
#include "loader/ledger.h"

#define PAGE 4096u

__attribute__((format(printf, 3, 4))) static int say(struct pin *p, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->error, sizeof(p->error), fmt, ap);
	va_end(ap);
	return r;
}

/* ---- the directory ---- */

static int make_dir(struct pin *p, const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		return say(p, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int check_bpffs(struct pin *p)
{
	struct statfs fs;

	if (statfs(p->dir, &fs))
		return say(p, -errno, "%s: %s", p->dir, strerror(errno));
	if ((unsigned long)fs.f_type == BPF_FS_MAGIC)
		return 0;
	(void)rmdir(p->dir); /* only if we have just made it */
	return say(
		p, -EMEDIUMTYPE,
		"%s is not on a BPF file system; mount one (mount -t bpf bpf /sys/fs/bpf) or give "
		"--pin a directory on it",
		p->dir);
}

int pin_open(struct pin *p, const char *dir, bool replace)
{
	char links[256];
	int r;

	*p = (struct pin){.lock = -1, .starting = -1};
	if (strlen(dir) >= sizeof(p->dir))
		return say(p, -ENAMETOOLONG, "%s: too long", dir);
	snprintf(p->dir, sizeof(p->dir), "%s", dir);
	r = make_dir(p, p->dir);
	r = r ?: check_bpffs(p);
	if (r)
		return r;
	p->lock = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->lock < 0)
		return say(p, -errno, "%s: %s", p->dir, strerror(errno));
	snprintf(links, sizeof(links), "%s/links", p->dir);
	r = make_dir(p, links);
	r = r ?: pin_start(p);
	return r ?: pin_lock(p, replace);
}

void pin_remove_tables(const char *path)
{
	char name[512];
	struct dirent *e;
	DIR *d;

	snprintf(name, sizeof(name), "%s/meta", path);
	(void)unlink(name); /* first: from now on they are not complete */
	d = opendir(path);
	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		(void)unlink(name);
	}
	if (d)
		closedir(d);
	(void)rmdir(path);
}

/* ---- maps ---- */

int pin_meta_read(const char *tables, struct pin_meta *ret)
{
	char path[352];

	snprintf(path, sizeof(path), "%s/meta", tables);
	return pin_value_get(path, ret, sizeof(*ret));
}

bool pin_is_complete(const char *tables)
{
	char path[352];

	snprintf(path, sizeof(path), "%s/meta", tables);
	return !access(path, F_OK);
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool pin_is_foreign(const char *tables)
{
	char ours[32];

	snprintf(ours, sizeof(ours), "tables-v%u-", WEIR_ABI_VERSION);
	return pin_is_complete(tables) && strncmp(name_of(tables), ours, strlen(ours));
}

bool pin_find_tables(const struct pin *p, bool (*is)(const char *path), const char * not, char *ret,
		     size_t room)
{
	struct dirent *e;
	bool found = false;
	DIR *d = opendir(p->dir);

	while (d && !found && (e = readdir(d))) {
		if (strncmp(e->d_name, "tables-", 7) || !strcmp(name_of(not ), e->d_name))
			continue;
		snprintf(ret, room, "%s/%s", p->dir, e->d_name);
		found = is(ret);
	}
	if (d)
		closedir(d);
	return found;
}

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
	for (const uint8_t *b = p; n; n--, b++)
		h = (h ^ *b) * 0x100000001b3ull; /* FNV-1a */
	return h;
}

static uint64_t layout_of(const struct bpf_object *obj)
{
	uint64_t h = 0xcbf29ce484222325ull;
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		uint32_t v[] = {bpf_map__type(map), bpf_map__key_size(map),
				bpf_map__value_size(map), bpf_map__max_entries(map)};

		if (bpf_map__is_internal(map))
			continue;
		h = hash_bytes(h, bpf_map__name(map), strlen(bpf_map__name(map)));
		h = hash_bytes(h, v, sizeof(v));
	}
	return h;
}

static int reuse_map(struct pin *p, struct bpf_map *map)
{
	char path[320];
	int fd, r;

	if (bpf_map__is_internal(map))
		return 0;
	snprintf(path, sizeof(path), "%s/%s", p->tables, bpf_map__name(map));
	fd = bpf_obj_get(path);
	if (fd < 0)
		return say(p, -errno, "%s: %s", path, strerror(errno));
	r = bpf_map__reuse_fd(map, fd);
	close(fd);
	return r ? say(p, r, "%s: %s", path, strerror(-r)) : 0;
}

int pin_reuse(struct pin *p, struct bpf_object *obj)
{
	struct pin_meta meta;
	struct bpf_map *map;
	char path[320];
	int r;

	snprintf(p->tables, sizeof(p->tables), "%s/tables-v%u-%016" PRIx64, p->dir,
		 WEIR_ABI_VERSION, layout_of(obj));
	snprintf(path, sizeof(path), "%s/meta", p->tables);
	/* who is at work reads its own to the end when it leaves */
	if (p->locked && pin_find_tables(p, pin_is_foreign, p->tables, path, sizeof(path)))
		return say(
			p, -ESTALE,
			"%s is of another version of weir, which alone can read it: start that version "
			"as it was, then this one with --replace; or 'weir detach --all' forgets "
			"the flows in it",
			path);
	r = p->locked ? 0 : pin_tables_wait(p);
	if (r)
		return r;
	r = pin_meta_read(p->tables, &meta);
	if (!r && pin_has_ended(p, meta.id)) {
		/* A weir was killed before it removed them. What they counted is in the ledger, and who
		 * finds them there next will not read them: they must not count again.
		 */
		if (!p->locked)
			return say(p, -EAGAIN,
				   "%s: the weir that is at work is about to remove it; try again",
				   p->tables);
		r = -ENOENT;
	}
	if (r == -ENOENT) { /* none, or one whose making was cut short */
		pin_remove_tables(p->tables);
		return make_dir(p, p->tables);
	}
	if (r)
		return say(p, r, "%s: %s", p->tables, strerror(-r));
	bpf_object__for_each_map(map, obj)
	{
		r = reuse_map(p, map);
		if (r)
			return r;
	}
	memcpy(p->seed, meta.seed, sizeof(p->seed));
	p->id = meta.id;
	p->took_over = true;
	return 1;
}

int pin_map_memory(struct pin *p, const char *path, size_t bytes, void **ret, size_t *ret_bytes)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path), r = 0;
	bool made = fd < 0;

	if (made)
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "weir_memory", 4, PAGE,
				    (uint32_t)(bytes / PAGE), &opts);
	if (fd < 0)
		return say(p, -errno, "%s (%zu MiB): %s", path, bytes >> 20, strerror(errno));
	if (bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    (bytes && (size_t)info.max_entries * PAGE != bytes))
		r = -ESTALE;
	*ret_bytes = (size_t)info.max_entries * PAGE;
	*ret = r ? MAP_FAILED : mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ret == MAP_FAILED) {
		*ret = NULL;
		r = r ?: -errno;
	} else if (made && bpf_obj_pin(fd, path)) {
		r = -errno;
	}
	close(fd);
	return r ? say(p, r, "%s: %s", path, strerror(-r)) : 0;
}

static int pin_maps(struct pin *p, struct bpf_object *obj)
{
	struct bpf_map *map;
	char path[320];

	bpf_object__for_each_map(map, obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		snprintf(path, sizeof(path), "%s/%s", p->tables, bpf_map__name(map));
		if (bpf_obj_pin(bpf_map__fd(map), path))
			return say(p, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

int pin_keep(struct pin *p, struct bpf_object *obj, const struct dataplane *dp)
{
	struct pin_meta meta = {.abi = WEIR_ABI_VERSION};
	size_t bytes = ledger_tables_bytes(dp->slots, dropped_marks(dp));
	char path[320];
	void *mem;
	int r;

	if (!p->took_over)
		p->id = (uint32_t)p->seed[0] | 1; /* random as those */
	snprintf(path, sizeof(path), "%s/read", p->tables);
	r = pin_map_memory(p, path, bytes, &mem, &bytes);
	p->part[0] = (struct ledger_part){
		.mem = mem, .slots = dp->slots, .marks = dropped_marks(dp), .id = p->id};
	if (r || p->took_over)
		return r;
	r = pin_maps(p, obj);
	meta.id = p->id;
	memcpy(meta.seed, p->seed, sizeof(meta.seed));
	snprintf(path, sizeof(path), "%s/meta", p->tables);
	if (!r && pin_value_put(path, "weir_meta", &meta, sizeof(meta)))
		r = say(p, -errno, "%s: %s", path, strerror(errno));
	return r;
}

/* ---- links ---- */

static void link_path(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook,
		      char path[256])
{
	char ns[16] = "";

	if (netns)
		snprintf(ns, sizeof(ns), "%u-", netns);
	snprintf(path, 256, "%s/links/%s%u-%s", p->dir, ns, ifindex, hook);
}

int pin_link_take(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook,
		  int prog_fd)
{
	char path[256];
	int fd;

	link_path(p, netns, ifindex, hook, path);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return -ENOENT;
	/* refused when its interface is gone: the number may be another's by now */
	if (!bpf_link_update(fd, prog_fd, NULL))
		return fd;
	close(fd);
	(void)unlink(path);
	return -ENOENT;
}

int pin_link_keep(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook,
		  int link_fd)
{
	char path[256];

	link_path(p, netns, ifindex, hook, path);
	return bpf_obj_pin(link_fd, path) ? -errno : 0;
}

void pin_link_drop(const struct pin *p, uint32_t netns, unsigned int ifindex, const char *hook)
{
	char path[256];

	link_path(p, netns, ifindex, hook, path);
	(void)unlink(path);
}

/* The number that a name begins with, and what follows its dash. NULL: it begins with something else. */
static const char *number_of(const char *name, uint32_t *ret)
{
	const char *dash = strchr(name, '-');
	char digits[16];
	uint64_t v;

	if (!dash || dash == name || (size_t)(dash - name) >= sizeof(digits))
		return NULL;
	memcpy(digits, name, (size_t)(dash - name));
	digits[dash - name] = '\0';
	if (scan_u64(digits, 1, UINT32_MAX, &v))
		return NULL;
	*ret = (uint32_t)v;
	return dash + 1;
}

/* "17-xdp", "4097-17-xdp". False: something else. */
static bool link_of_name(const char *name, uint32_t *ret_netns, uint32_t *ret_ifindex)
{
	const char *rest = number_of(name, ret_ifindex);
	uint32_t second;

	*ret_netns = 0;
	if (!rest)
		return false;
	if (number_of(rest, &second)) {
		*ret_netns = *ret_ifindex;
		*ret_ifindex = second;
	}
	return true;
}

void pin_link_sweep(const struct pin *p,
		    bool (*keep)(void *arg, uint32_t netns, unsigned int ifindex), void *arg)
{
	char path[512];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/links", p->dir);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		uint32_t netns, ifindex;

		if (!link_of_name(e->d_name, &netns, &ifindex) || keep(arg, netns, ifindex))
			continue;
		snprintf(path, sizeof(path), "%s/links/%s", p->dir, e->d_name);
		(void)unlink(path);
	}
	if (d)
		closedir(d);
}

static bool keep_none(void *arg, uint32_t netns, unsigned int ifindex)
{
	(void)netns;
	(void)ifindex;
	++*(int *)arg;
	return false;
}

static bool any(const char *path)
{
	return path[0];
}

int pin_remove(struct pin *p)
{
	char path[256];
	struct stat st;
	int links = 0;

	pin_link_sweep(p, keep_none, &links);
	while (pin_find_tables(p, any, "", path, sizeof(path))) {
		pin_remove_tables(path);
		if (!access(path, F_OK))
			break; /* not ours to remove */
	}
	snprintf(path, sizeof(path), "%s/links", p->dir);
	(void)rmdir(path);
	snprintf(path, sizeof(path), "%s/ledger", p->dir);
	(void)unlink(path);
	snprintf(path, sizeof(path), "%s/owner", p->dir);
	(void)unlink(path);
	/* one that was made for weir's user is his, for the next start */
	if (!stat(p->dir, &st) && st.st_uid == geteuid())
		(void)rmdir(p->dir);
	return links;
}

void pin_close(struct pin *p)
{
	if (p->ledger)
		munmap(p->ledger, p->ledger_bytes);
	p->ledger = NULL;
	if (p->part[0].mem)
		munmap(p->part[0].mem, ledger_tables_bytes(p->part[0].slots, p->part[0].marks));
	p->part[0].mem = NULL;
	for (unsigned int i = 0; i < p->olders; i++)
		pin_older_done(p, i);
	pin_started(p);
	if (p->lock >= 0 && p->dir[0])
		close(p->lock);
	p->lock = -1;
}

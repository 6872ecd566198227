// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Who holds it: with IBC_REGISTRY_TRACK_REFS each reference that a user has is
 * named by the place in the code where it was taken, in the dump and in the
 * warning of a removal that drains long.
 */
#include <dlfcn.h>
#include <link.h>
#include <sys/resource.h>
#include <unistd.h>

#include "held.h"
#include "holder_lib.h"

/* ---- each way to a reference ---- */

static void every_way_to_a_reference_is_named(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	data = by_alloc(&a); /* makes it */
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);

	data = by_alloc(&a); /* finds it */
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	ibc_put_client_data(data);
	data = by_get(&a);
	assert_int_equal(held_by(&a, "by_get"), 1);
	by_hold(data);
	assert_int_equal(held_by(&a, "by_get"), 1);
	assert_int_equal(held_by(&a, "by_hold"), 1);
	ibc_put_client_data(data); /* this thread's newest */
	assert_int_equal(held_by(&a, "by_get"), 1);
	assert_int_equal(held_by(&a, "by_hold"), 0);
	ibc_put_client_data(data);
	data = by_cmpxchg(&a);
	assert_int_equal(held_by(&a, "by_cmpxchg"), 1);
	ibc_put_client_data(data);
	assert_int_equal(held_by(&a, NULL), 0);
	assert_int_equal(held_by(&b, NULL), 0);
	finish();
}

static void the_first_reference_is_of_who_initialised(void **state)
{
	struct ibc_client_data *one, *two;

	(void)state;
	start_tracked();
	one = rec_make(&a, dev);
	assert_int_equal(held_by(&a, "rec_make"), 1);
	check(ibc_set_client_data(dev, &a.client, one) == 0);
	assert_int_equal(held_by(&a, NULL), 1); /* not the registry's */
	/* what is replaced is held as before, and shown with what is new */
	two = rec_make(&a, dev);
	check(ibc_set_client_data(dev, &a.client, two) == 0);
	assert_int_equal(held_by(&a, "rec_make"), 2);
	check(ibc_put_client_data(one));
	assert_int_equal(held_by(&a, "rec_make"), 1);
	check(!ibc_put_client_data(two));
	assert_int_equal(held_by(&a, NULL), 0);
	check(ibc_set_client_data(dev, &a.client, NULL) == 0);
	finish();
}

static void alloc_of_waiter(struct worker *w)
{
	w->data = by_alloc(w->rec);
	check(w->data);
}

/* one allocates, the others share: each is named */
static void those_who_wait_for_alloc_are_named(void **state)
{
	struct worker workers[4] = {};
	struct gate gate = {};
	unsigned int i;

	(void)state;
	start_tracked();
	a.gate[H_ALLOC] = &gate;
	for (i = 0; i < 4; i++) {
		workers[i].rec = &a;
		worker_start(&workers[i], alloc_of_waiter);
	}
	wait_for(gate_entered(&gate) == 1);
	for (i = 0; i < 4; i++)
		worker_wait_blocked(&workers[i]);
	gate_open(&gate);
	for (i = 0; i < 4; i++)
		worker_join(&workers[i]);
	assert_int_equal(h_count(&a, H_ALLOC), 1);
	assert_int_equal(held_by(&a, "by_alloc"), 4);
	for (i = 0; i < 4; i++) /* of threads that there are no more */
		ibc_put_client_data(workers[i].data);
	assert_int_equal(held_by(&a, NULL), 0);
	finish();
}

/* ---- what is told of them ---- */

static void equal_places_are_one_with_a_count(void **state)
{
	struct ibc_client_data *data;
	json_t *list;
	char *text;
	int i;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	for (i = 0; i < 3; i++)
		by_hold(data);
	list = holders(&a);
	assert_int_equal(json_array_size(list), 2);
	assert_true(held_in(json_array_get(list, 0), "by_hold"));
	assert_int_equal(held_count(json_array_get(list, 0)), 3);
	assert_memory_equal(held_string(json_array_get(list, 0), "address"),
			    "0x", 2);
	assert_non_null(strstr(held_string(json_array_get(list, 0), "object"),
			       "_holders"));
	assert_int_equal(held_count(json_array_get(list, 1)), 1);
	json_decref(list);
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_non_null(strstr(text, "5 references\n    3 by by_hold+0x"));
	assert_non_null(strstr(text, "\n    1 by by_alloc+0x"));
	free(text);
	for (i = 0; i < 4; i++)
		ibc_put_client_data(data);
	finish();
}

static void the_drain_warning_names_them(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	h_log_capture();
	data = by_alloc(&a);
	by_hold(data);
	by_hold(data);
	ibc_put_client_data(by_alloc(&b));
	ibc_remove_device(dev);
	wait_for(h_logged(IBC_LOG_WARNING, "held up"));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "held up"), 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING,
				  "client first, 3 references left: "
				  "2 by by_hold+0x"),
			 1);
	assert_int_equal(h_logged(IBC_LOG_WARNING, ", 1 by by_alloc+0x"), 1);
	assert_int_equal(held_by(&a, "by_hold"), 2); /* the dump says so too */
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	finish();
}

static void without_tracking_nobody_is_named(void **state)
{
	struct ibc_client_data *data;
	json_t *list;
	char *text;

	(void)state;
	start(0);
	h_log_capture();
	if (getenv("IBC_TRACK_REFS")) {
		finish();
		skip();
	}
	assert_null(h_reg->tracker);
	data = by_alloc(&a);
	by_hold(data);
	list = holders(&a);
	assert_true(json_is_array(list));
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_null(strstr(text, " by "));
	free(text);
	ibc_remove_device(dev);
	wait_for(h_logged(IBC_LOG_WARNING, "held up"));
	assert_int_equal(h_logged(IBC_LOG_WARNING, " by by_"), 0);
	ibc_put_client_data(data);
	ibc_put_client_data(data);
	finish();
}

/* ---- code of a library ---- */

static void *load(const char *variable)
{
	const char *path = getenv(variable);
	void *lib = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

	if (!lib)
		fail_msg("%s: %s", variable, path ? dlerror() : "not set");
	return lib;
}

static struct ibc_client_data *get_by(void *lib, const char *function)
{
	__typeof__(&holder_lib_get) fn;

	*(void **)&fn = dlsym(lib, function);
	check(fn);
	return fn(ibc_get_client_data, dev, &a.client);
}

static bool known_symbol(struct rec *rec, unsigned int n)
{
	json_t *list = holders(rec), *holder = json_array_get(list, n);
	bool known = held_string(holder, "symbol");

	check(held_string(holder, "address"));
	check(known == !!held_string(holder, "object"));
	check(known == !!held_string(holder, "offset"));
	json_decref(list);
	return known;
}

static void code_of_an_unloaded_library_is_an_address(void **state)
{
	struct ibc_client_data *data;
	void *lib;
	char *text;

	(void)state;
	start_tracked();
	h_log_capture();
	lib = load("IBC_TEST_HOLDER_LIB");
	ibc_put_client_data(by_alloc(&a));
	data = get_by(lib, "holder_lib_get");
	assert_int_equal(held_by(&a, "holder_lib_get"), 1);
	assert_true(known_symbol(&a, 0));
	assert_int_equal(dlclose(lib), 0);
	assert_int_equal(held_by(&a, NULL), 1);
	assert_false(known_symbol(&a, 0));
	text = h2_dump(h_reg, IBC_DUMP_TEXT);
	assert_non_null(strstr(text, "\n    1 by 0x"));
	assert_non_null(strstr(text, " (code that was unloaded)\n"));
	free(text);
	ibc_remove_device(dev);
	wait_for(h_logged(IBC_LOG_WARNING, "(code that was unloaded)"));
	ibc_put_client_data(data);
	finish();
}

/* its symbols are stripped: all that is known is where in the file it is */
static void code_without_a_symbol_is_an_offset(void **state)
{
	void *lib = load("IBC_TEST_HOLDER_LIB");
	void *stripped = load("IBC_TEST_HOLDER_LIB_STRIPPED");
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	ibc_put_client_data(by_alloc(&a));
	data = get_by(lib, "holder_lib_get_static");
	assert_int_equal(held_by(&a, "nobodys_business"), 1);
	ibc_put_client_data(data);
	get_by(stripped, "holder_lib_get");
	assert_int_equal(held_by(&a, "holder_lib_get"), 1);
	ibc_put_client_data(data);
	get_by(stripped, "holder_lib_get_static");
	assert_int_equal(held_by(&a, "libholder_lib_stripped.so"), 1);
	ibc_put_client_data(data);
	dlclose(stripped);
	dlclose(lib);
	finish();
}

/* a copy; if @other, with another last segment */
static void copy_to(const char *path, const char *from, bool other)
{
	FILE *in = fopen(from, "r"), *out = fopen(path, "w");
	ElfW(Ehdr) ehdr;
	ElfW(Phdr) last;
	int c;

	check(in && out);
	while ((c = fgetc(in)) != EOF)
		fputc(c, out);
	fclose(in);
	check(fclose(out) == 0);
	if (!other)
		return;
	out = fopen(path, "r+");
	check(out && fread(&ehdr, sizeof(ehdr), 1, out) == 1);
	fseek(out, ehdr.e_phoff + (ehdr.e_phnum - 1) * sizeof(last), SEEK_SET);
	check(fread(&last, sizeof(last), 1, out) == 1);
	last.p_memsz++;
	fseek(out, -(long)sizeof(last), SEEK_CUR);
	check(fwrite(&last, sizeof(last), 1, out) == 1);
	check(fclose(out) == 0);
}

/* an update that came while it runs: the symbols are of other code */
static void code_of_a_replaced_file_is_an_offset(void **state)
{
	char dir[] = "/tmp/ibc-holders-XXXXXX", path[64], newer[64];
	const char *file = getenv("IBC_TEST_HOLDER_LIB");
	struct ibc_client_data *data;
	unsigned int named;
	void *lib;

	(void)state;
	start_tracked();
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lib.so", dir);
	snprintf(newer, sizeof(newer), "%s/newer.so", dir);
	copy_to(path, file, false);
	copy_to(newer, file, true);
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(lib);
	ibc_put_client_data(by_alloc(&a));
	data = get_by(lib, "holder_lib_get");
	assert_int_equal(held_by(&a, "holder_lib_get"), 1);
	assert_int_equal(rename(newer, path), 0);
	named = held_by(&a, "holder_lib_get");
	unlink(path);
	rmdir(dir);
	assert_int_equal(named, 0);
	assert_true(known_symbol(&a, 0));
	ibc_put_client_data(data);
	dlclose(lib);
	finish();
}

static void dump(struct worker *w)
{
	w->error = held_by(w->rec, "by_alloc");
}

/* the loader's lock is held */
static void wait_for_a_dump(void)
{
	struct worker w = { .rec = &a };

	worker_start(&w, dump);
	worker_join(&w);
	check(w.error == 1);
}

/* it waits for another thread, which names who holds: that is no deadlock */
static void a_constructor_may_wait_for_a_dump(void **state)
{
	struct ibc_client_data *data;
	char hook[32];

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	snprintf(hook, sizeof(hook), "%p", (void *)wait_for_a_dump);
	assert_int_equal(setenv(HOLDER_LIB_HOOK, hook, 1), 0);
	dlclose(load("IBC_TEST_HOLDER_LIB"));
	assert_int_equal(unsetenv(HOLDER_LIB_HOOK), 0);
	ibc_put_client_data(data);
	finish();
}

/* no descriptor is left to read a file by */
static void code_of_an_unreadable_file_is_an_offset(void **state)
{
	struct rlimit none, old;
	struct ibc_client_data *data;

	(void)state;
	start_tracked();
	data = by_alloc(&a);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(held_by(&a, "by_alloc"), 0);
	assert_true(known_symbol(&a, 0));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(held_by(&a, "by_alloc"), 1);
	ibc_put_client_data(data);
	finish();
}

/* ---- what else holds a removal up ---- */

static struct gate visiting;

static int visit(struct ibc_device *d, void *arg)
{
	(void)d;
	(void)arg;
	gate_wait(&visiting);
	return 0;
}

static void visit_all(struct worker *w)
{
	w->error = ibc_for_each_device(h_reg, visit, NULL);
}

static void a_walk_that_holds_it_up_is_a_warning(void **state)
{
	struct worker w = {};

	(void)state;
	start_tracked();
	h_log_capture();
	gate_close(&visiting);
	worker_start(&w, visit_all);
	wait_for(gate_entered(&visiting) == 1);
	ibc_remove_device(dev);
	wait_for(h_logged(IBC_LOG_WARNING, "ibc_for_each_device()"));
	assert_int_equal(h_logged(IBC_LOG_WARNING, "held up"), 1);
	gate_open(&visiting);
	worker_join(&w);
	assert_int_equal(w.error, 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(every_way_to_a_reference_is_named),
		IN_ALL(the_first_reference_is_of_who_initialised),
		IN_ALL(those_who_wait_for_alloc_are_named),
		IN_MANUAL(equal_places_are_one_with_a_count),
		IN_ALL(the_drain_warning_names_them),
		IN_ALL(without_tracking_nobody_is_named),
		IN_ALL(code_of_an_unloaded_library_is_an_address),
		IN_MANUAL(code_without_a_symbol_is_an_offset),
		IN_MANUAL(code_of_a_replaced_file_is_an_offset),
		IN_ALL(a_constructor_may_wait_for_a_dump),
		IN_MANUAL(code_of_an_unreadable_file_is_an_offset),
		IN_ALL(a_walk_that_holds_it_up_is_a_warning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

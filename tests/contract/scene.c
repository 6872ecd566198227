// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* See scene.h. */
#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "scene.h"

/* not the link itself: under valgrind that is valgrind */
void scene_program(char *path, unsigned int size)
{
	ssize_t len = readlink("/proc/self/exe", path, size - 1);

	check(len > 0);
	path[len] = '\0';
}

/* tests/CMakeLists.txt names the emulator, if there is one */
void scene_exec(const char *program, const char *scene)
{
	const char *emulator = getenv("IBC_TEST_EMULATOR");

	if (emulator)
		execlp(emulator, emulator, program, scene, NULL);
	else
		execl(program, program, scene, NULL);
	_exit(126);
}

int scene_status(const char *scene)
{
	char program[PATH_MAX];
	int status;
	pid_t pid;

	scene_program(program, sizeof(program));
	pid = fork();
	check(pid >= 0);
	if (!pid)
		scene_exec(program, scene);
	check(waitpid(pid, &status, 0) == pid);
	return status;
}

void scene_play(const char *scene, int status)
{
	int ended = scene_status(scene);

	if (!WIFEXITED(ended) || WEXITSTATUS(ended) != status)
		fail_msg("scene %s: ended with status %#x, not exit(%d)", scene,
			 ended, status);
}

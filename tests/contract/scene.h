/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Scenes: what a test wants to see of a whole process is played by the test's own
 * program, run again with the name of the scene.
 */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

/* the program, as a path */
void scene_program(char *path, unsigned int size);
/* becomes that program, in a child: also where it runs under an emulator */
void scene_exec(const char *program, const char *scene)
	__attribute__((noreturn));
/* runs it; what waitpid() said of its end */
int scene_status(const char *scene);
/* must exit with this */
void scene_play(const char *scene, int status);

#endif /* TESTS_SCENE_H */

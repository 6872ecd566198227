# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What is written of the binding: its type stubs, its docstrings, its page."""
import ast
import enum
import inspect
import os
import re
import subprocess
import sys
import unittest

import ibclient
from common import PATIENCE, TestCase, main, softverbs

PAGE = os.environ["IBC_TEST_PAGE"]


def stub():
    path = os.path.join(os.path.dirname(ibclient.__file__), "__init__.pyi")
    with open(path) as file:
        return ast.parse(file.read())


def public(names):
    return {name for name in names if not name.startswith("_")}


class Stubs(unittest.TestCase):

    def test_names(self):
        for cls in stub().body:
            if not isinstance(cls, ast.ClassDef) or cls.name.startswith("_"):
                continue
            real = getattr(ibclient, cls.name)
            names = {n.name for n in cls.body if isinstance(n, ast.FunctionDef)}
            if issubclass(real, enum.Enum):
                values = {n.targets[0].id: n.value.value for n in cls.body}
                self.assertEqual(values, {m.name: m.value for m in real}, cls.name)
            else:
                self.assertEqual(public(names), public(dir(real)), cls.name)
        classes = {n.name for n in stub().body
                   if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
        self.assertEqual(public(classes), set(ibclient.__all__))
        self.assertTrue(os.path.exists(os.path.join(
            os.path.dirname(ibclient.__file__), "py.typed")))

    def test_arguments(self):
        """Of what is Python's: of what Cython has made they cannot be asked."""
        for cls in stub().body:
            for fn in getattr(cls, "body", []):
                if not isinstance(fn, ast.FunctionDef) or fn.name == "__exit__":
                    continue
                real = getattr(getattr(ibclient, cls.name, None), fn.name, None)
                if inspect.isfunction(real):
                    args = [a.arg for a in fn.args.args + fn.args.kwonlyargs]
                    self.assertEqual(args, list(inspect.signature(real).parameters))

    def test_docstrings(self):
        for name in ibclient.__all__:
            real = getattr(ibclient, name)
            self.assertTrue(real.__doc__, name)
            if inspect.isclass(real) and not issubclass(real, enum.Enum):
                for member in public(dir(real)):
                    of_cython = type(getattr(real, member)).__name__
                    if of_cython in ("getset_descriptor", "member_descriptor"):
                        continue
                    self.assertTrue(getattr(real, member).__doc__,
                                    f"{name}.{member}")


class Page(TestCase):
    """The program of the page, as it is there."""
    devices = ("soft0",)

    def test_program(self):
        with open(PAGE) as file:
            programs = re.findall(r"^```python\n(.*?)^```$", file.read(), re.M | re.S)
        self.assertGreaterEqual(len(programs), 2)
        for program in programs:
            compile(program, PAGE, "exec")
        process = subprocess.Popen([sys.executable, "-u", "-c", programs[0]],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   text=True)
        try:
            self.assertRegex(process.stdout.readline(), r"^soft0 .* lkey 0x")
            softverbs("event", "soft0", "PORT_ERR")
            self.assertEqual(process.stdout.readline(), "soft0: PORT_ERR, port 1\n")
            softverbs("remove", "soft0", "--timeout", str(PATIENCE * 1000))
            self.assertEqual(process.stdout.readline(), "soft0 goes\n")
            self.assertEqual(process.communicate("\n", PATIENCE)[0], "")
            self.assertEqual(process.returncode, 0)
        finally:
            process.kill()

    def test_loop(self):
        with open(PAGE) as file:
            programs = re.findall(r"^```python\n(.*?)^```$", file.read(), re.M | re.S)
        process = subprocess.Popen([sys.executable, "-u", "-c", programs[1]],
                                   stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(process.stdout.readline(), "soft0 came\n")
            softverbs("add", "soft1")
            self.assertEqual(process.stdout.readline(), "soft1 came\n")
            self.assertEqual(process.communicate(timeout=PATIENCE)[0], "")
            self.assertEqual(process.returncode, 0)
        finally:
            process.kill()


if __name__ == "__main__":
    main()

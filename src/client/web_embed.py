#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes web_files.c of the files of the page.   usage: web_embed.py OUT FILE..."""
import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def name_of(path):
    """What it is called under weir-web: a licence by what it is of."""
    folder, name = os.path.split(path)
    if name == "index.html":
        return ""
    return os.path.basename(folder) + "-LICENSE.txt" if name == "LICENSE" else name


def array(name, octets):
    lines = [", ".join("%d" % o for o in octets[i:i + 24]) for i in range(0, len(octets), 24)]
    return "static const unsigned char %s[] = {\n\t%s};\n" % (name, ",\n\t".join(lines))


def main(out, *files):
    arrays, rows = [], []
    for i, path in enumerate(files):
        with open(path, "rb") as f:
            octets = f.read()
        name = name_of(path)
        rows.append('\t{"/%s", "%s", "\\"%s\\"", file_%d, sizeof(file_%d)},' % (
            name, TYPES[os.path.splitext(name)[1] or ".html"], hashlib.sha256(octets).hexdigest()[:16], i, i))
        arrays.append(array("file_%d" % i, octets))
    with open(out, "w", encoding="utf-8") as f:
        f.write('/* SPDX-License-Identifier: BSD-3-Clause */\n#include "web_files.h"\n\n#include <string.h>\n\n')
        f.write("\n".join(arrays))
        f.write("\nconst struct web_file web_files[] = {\n%s\n};\n" % "\n".join(rows))
        f.write("const size_t web_n_files = sizeof(web_files) / sizeof(web_files[0]);\n\n")
        f.write("const struct web_file *web_file_find(const char *path)\n{\n"
                "\tfor (size_t i = 0; i < web_n_files; i++)\n"
                "\t\tif (strcmp(web_files[i].path, path) == 0)\n"
                "\t\t\treturn &web_files[i];\n"
                "\treturn NULL;\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

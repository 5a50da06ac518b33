// The lines that count a page, with the address of this server.

const $ = (selector) => document.querySelector(selector);
const here = location.origin;
let command = "run";
let paths = { script: "/clickmill.js", events: "/v1/events" };

function attribute(name, value) {
  const escaped = value.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  return value === "" ? "" : `\n        ${name}="${escaped}"`;
}

const given = (selector) => $(selector).value.trim();

function scriptLine() {
  return `<script defer src="${here}${paths.script}"${attribute("data-site", given("#site"))}` +
    `${attribute("data-endpoint", given("#endpoint"))}></script>`;
}

// The name of the site for collect.sites; an example while it is unknown.
function siteName() {
  try {
    const url = new URL(given("#site"));
    return url.port === "" ? url.hostname : url.origin;
  } catch {
    return "www.shop.example";
  }
}

// The origin to which events are sent, for the Content-Security-Policy.
function endpointOrigin() {
  try {
    return new URL(given("#endpoint"), here).origin;
  } catch {
    return here;
  }
}

const LINES = {
  script: scriptLine,
  allow: () => `clickmill ${command} --sites "${siteName()}"`,
  policy: () => `script-src ${here};\nconnect-src ${endpointOrigin()}`,
  event: () => `<button data-clickmill-event="signup"
        data-clickmill-prop-plan="pro">Sign up</button>`,
  identify: () => `<script>
  window.clickmill = window.clickmill || function () {
    (clickmill.q = clickmill.q || []).push(arguments);
  };
  clickmill("identify", "customer-7");
</script>`,
  pixel: () => `<img src="${here}/pixel.gif" alt="" width="1" height="1"
     referrerpolicy="no-referrer-when-downgrade">`,
};

// Shows the lines, with quoted parts in colour. All of it is inserted as text.
function show() {
  for (const [id, line] of Object.entries(LINES)) {
    const parts = line().split(/("[^"]*")/).map((part) => {
      const span = document.createElement("span");
      span.className = part.startsWith('"') ? "text" : "";
      span.textContent = part;
      return span;
    });
    $(`#${id}`).replaceChildren(...parts);
  }
}

// The clipboard is only available on https and on this machine; elsewhere the text is selected and
// then copied.
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}

for (const button of document.querySelectorAll("[data-copy]"))
  button.addEventListener("click", async () => {
    const copied = await copy($(`#${button.dataset.copy}`));
    button.textContent = copied ? "Copied" : "Press Ctrl-C";
    button.classList.toggle("done", copied);
    $("#said").textContent = copied ? "Copied" : "Selected; copy it with the keyboard";
    setTimeout(() => {
      button.textContent = "Copy";
      button.classList.remove("done");
      $("#said").textContent = "";
    }, 2000);
  });
for (const input of document.querySelectorAll("input")) input.addEventListener("input", show);
// The operator may have given the script and the events other paths.
async function findPaths() {
  const reply = await fetch("/snippet/paths");
  if (reply.ok) paths = await reply.json();
  $("#endpoint").placeholder = here + paths.events;
  show();
}

// A server that only collects (`clickmill collect`) has neither dashboard nor shop.
async function findOthers() {
  const reply = await fetch("/api/status");
  $("#others").hidden = !reply.ok;
  if (reply.ok) $("#shop").hidden = !(await reply.json()).shop;
  else command = "collect";
  show();
}

show();
findPaths();
findOthers();

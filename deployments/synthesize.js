// What cdk.json's "app" starts: hostemr's own Python, whatever environment is active and whatever the system.
// In JavaScript because the CDK's command line brings Node.js wherever it runs, Windows included.
"use strict";

const { spawnSync } = require("node:child_process");
const { existsSync } = require("node:fs");
const { join } = require("node:path");

const venv = join(__dirname, "..", ".venv");
const candidates = [join(venv, "bin", "python"), join(venv, "Scripts", "python.exe")];
const active = process.env.VIRTUAL_ENV ? [process.platform === "win32" ? "python" : "python3"] : [];
const python = [...active, ...candidates.filter(existsSync), "python3", "python"][0];

const ended = spawnSync(python, ["-m", "hostemr.stacks", ...process.argv.slice(2)], { stdio: "inherit" });
if (ended.error) {
  console.error(`error: ${python} could not be started: ${ended.error.message}`);
  console.error("hint: run `make cdk` in the project's root once, or activate an environment with hostemr[stacks]");
  process.exit(3);
}
process.exit(ended.status ?? 1);

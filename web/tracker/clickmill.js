// The script that pages include. The build joins it with the tracker and makes it small.
import { start } from "../npm/tracker.js";

start(document.currentScript);

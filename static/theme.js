// Before anything is drawn: the look that was chosen in this browser, if not the system's.
(() => {
  "use strict";
  try {
    const chosen = localStorage.getItem("ocore-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser that keeps nothing follows the system.
  }
})();

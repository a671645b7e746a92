// Everything works without this. It adds: copy buttons, and focus on the list of mistakes.
(() => {
  "use strict";
  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    const words = button.innerHTML;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.done;
      setTimeout(() => { button.innerHTML = words; }, 2000);
    });
  }
  document.querySelector(".mistakes")?.focus();
})();

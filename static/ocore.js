// Everything works without this. It adds: copy buttons, the choice of the look, times that stay true, focus on the list of mistakes, ticks that follow each other in a tree.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  if (navigator.clipboard) {
    for (const button of all("[data-copy]")) {
      const inside = [...button.childNodes];
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.replaceChildren(button.dataset.done);
        setTimeout(() => button.replaceChildren(...inside), 2000);
      });
    }
  }

  // A category and its tools: ticking the category ticks them all, ticking a tool ticks its category.
  for (const leaves of all("[data-of]")) {
    const parent = document.getElementById(leaves.dataset.of);
    const count = document.querySelector(`[data-count="${CSS.escape(leaves.dataset.of)}"]`);
    const tools = all("input", leaves);
    if (!parent) continue;
    const show = () => {
      const ticked = tools.filter((tool) => tool.checked).length;
      parent.indeterminate = parent.checked && ticked > 0 && ticked < tools.length;
      if (count) count.textContent = count.textContent.replace(/^\d+/, ticked);
    };
    parent.addEventListener("change", () => {
      for (const tool of tools) tool.checked = parent.checked;
      show();
    });
    leaves.addEventListener("change", () => {
      parent.checked = tools.some((tool) => tool.checked);
      show();
    });
    show();
  }

  // Times in words, kept true while the page stands; within a minute of now every second counts.
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
  const live = all("[data-live]").map((place) => [place, Date.parse(place.dataset.live)]);
  const tell = () => {
    let near = false;
    for (const [place, at] of live) {
      const seconds = Math.trunc((at - Date.now()) / 1000);
      near ||= Math.abs(seconds) < 90;
      const [unit, size] = units.find(([, least]) => Math.abs(seconds) >= least) ?? units[5];
      if (Math.abs(seconds) >= 5) place.textContent = words.format(Math.trunc(seconds / size), unit);
    }
    setTimeout(tell, near ? 1000 : 30000);
  };
  if (live.length) setTimeout(tell, 1000);

  // The look of this browser; theme.js applies it to the pages that follow.
  for (const part of all("[data-look]")) {
    const root = document.documentElement;
    const choices = all("input", part);
    for (const choice of choices) {
      choice.checked = choice.value === (root.dataset.theme ?? "system");
      choice.addEventListener("change", () => {
        const system = choice.value === "system";
        if (system) delete root.dataset.theme;
        else root.dataset.theme = choice.value;
        try {
          if (system) localStorage.removeItem("ocore-theme");
          else localStorage.setItem("ocore-theme", choice.value);
        } catch {
          // It holds for this page then.
        }
      });
    }
    part.hidden = false;
  }

  document.querySelector(".mistakes")?.focus();
})();

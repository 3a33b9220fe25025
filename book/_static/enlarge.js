// A tap on a figure shows it at its full size, which a narrow page cannot; another tap, or Escape, goes back.
document.addEventListener("click", (event) => {
  const figure = event.target;
  if (!(figure instanceof HTMLImageElement) || !figure.closest(".cell_output")) return;
  const over = document.createElement("div");
  over.className = "enlarged";
  over.tabIndex = -1;
  over.setAttribute("role", "dialog");
  over.setAttribute("aria-label", figure.alt);
  over.append(figure.cloneNode());
  const close = () => { over.remove(); document.removeEventListener("keydown", onKey); };
  const onKey = (key) => { if (key.key === "Escape") close(); };
  over.addEventListener("click", (tap) => { tap.stopPropagation(); close(); });
  document.addEventListener("keydown", onKey);
  document.body.append(over);
  over.focus();
});

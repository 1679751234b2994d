// What the theme leaves out for keyboards and screen readers.
addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", "2");
  for (const part of document.querySelectorAll("pre, .table-wrapper")) part.tabIndex = 0;
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Contents of the site");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "Contents of the page");
});

"use strict";
// Without it all of this is done by the button of the form.
const form = document.querySelector("form");
if (form) {
  const count = document.getElementById("count");
  form.elements.q.addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    const groups = [...document.querySelectorAll("#count + table > tbody")];
    for (const group of groups) {
      const text = group.textContent.toLowerCase();
      group.hidden = !words.every((word) => text.includes(word));
    }
    const shown = groups.filter((group) => !group.hidden).length;
    count.textContent = `${shown} of the ${groups.length} instances of this page; Enter looks on all pages.`;
  });
}

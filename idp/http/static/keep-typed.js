// Another language or mode does not cost what was typed, passwords apart: the form is sent to be drawn again. Without this the switch is a link.
"use strict";
const form = document.querySelector("form[data-keep]");
for (const link of form ? document.querySelectorAll(".switches a") : []) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const mark = document.createElement("input");
    mark.type = "hidden";
    mark.name = "redraw";
    mark.value = "1";
    form.append(mark);
    for (const secret of form.querySelectorAll("[autocomplete$=password]")) secret.disabled = true;
    form.setAttribute("action", form.getAttribute("action") + link.search);
    // A button called "submit" hides the form's own method.
    HTMLFormElement.prototype.submit.call(form);
  });
}

// page.css and page.js as text; the build turns the files into string literals.
#ifndef AGENT_STATUS_PAGE_ASSETS_H
#define AGENT_STATUS_PAGE_ASSETS_H

const char *page_assets_style(void);
const char *page_assets_script(void);

#endif

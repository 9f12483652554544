#include "agent/status/page_assets.h"

static const char style[] =
#include "agent/status/page_style.inc"
    ;

static const char script[] =
#include "agent/status/page_script.inc"
    ;

const char *page_assets_style(void) {
    return style;
}

const char *page_assets_script(void) {
    return script;
}

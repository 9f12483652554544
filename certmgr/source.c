#include "certmgr/source.h"

const char *source_state_name(enum source_state state) {
    switch (state) {
    case SOURCE_CONNECTING:
        return "connecting";
    case SOURCE_CONNECTED:
        return "connected";
    case SOURCE_DENIED:
        return "denied";
    case SOURCE_FAILED:
        return "failed";
    }
    return "unknown";
}

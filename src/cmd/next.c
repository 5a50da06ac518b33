#include "cmd/next.h"

#include "base/terminal.h"

static bool is_plain(cm_str_t word)
{
    static const char plain[] = "%+,-./:=@_";

    for (size_t i = 0; i < word.len; i++) {
        unsigned char c = (unsigned char)word.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && c < 0x80 && strchr(plain, c) == NULL)
            return false;
    }
    return word.len > 0;
}

void cm_next_add_word(cm_buf_t *buf, cm_str_t word)
{
    cm_buf_t quoted = CM_BUF_INIT;
    bool plain = is_plain(word);

    cm_buf_add_text(&quoted, plain ? "" : "'");
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] == '\'')
            cm_buf_add_text(&quoted, "'\\''");
        else
            cm_buf_add_char(&quoted, word.data[i]);
    }
    cm_buf_add_text(&quoted, plain ? "" : "'");
    cm_terminal_add(buf, (cm_str_t){quoted.data, quoted.len});
    cm_buf_free(&quoted);
}

void cm_next_add(cm_buf_t *buf, const cm_app_t *app, const char *command)
{
    cm_buf_printf(buf, "clickmill %s", command);
    if (strcmp(app->global.data_dir, "data") == 0)
        return;
    cm_buf_add_text(buf, " --data ");
    cm_next_add_word(buf, cm_str(app->global.data_dir));
}

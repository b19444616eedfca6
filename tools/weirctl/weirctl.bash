# SPDX-License-Identifier: MIT
# Completion of weirctl in bash. What could come next is known by weirctl itself.
_weirctl()
{
    local candidates
    # The words as the shell sees them, but that a colon does not split one (http://...).
    local words cword=$COMP_CWORD
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n : -w words -i cword
        words=("${words[@]:1:cword}")
    fi
    COMPREPLY=()
    candidates=$("${COMP_WORDS[0]}" --complete "${words[@]}" 2>/dev/null) || return 0
    if [ "$candidates" = ":files" ]; then
        compopt -o default
        return 0
    fi
    mapfile -t COMPREPLY <<<"$candidates"
    [ -n "$candidates" ] || COMPREPLY=()
}
complete -F _weirctl weirctl

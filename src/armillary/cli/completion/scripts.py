# SPDX-License-Identifier: Apache-2.0
"""The scripts of the three shells. Each finds the command that is being written, then offers what can follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from armillary.cli.completion.places import Place, Word

_BASH: Final = """\
# bash completion of armillary: source this, or keep it as ~/.local/share/bash-completion/completions/armillary
_armillary_names() {
    local name about
    while IFS=$'\\t' read -r name about; do
        [[ $current == [\\"\\']* ]] || printf -v name %q "$name"
        COMPREPLY+=("$name")
    done < <(armillary completion-names "$1" "$current" "${COMP_WORDS[@]:1}" 2>/dev/null)
    compopt +o default 2>/dev/null
}
_armillary() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} at="" word i verbs="" options=""
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case "$at $word" in
@DEEPER@
            *) break ;;
        esac
    done
    case "$at $before" in
@VALUES@
    esac
    case "$at" in
@WORDS@
    esac
    if [[ $current == -* ]]; then verbs=""; fi
    if [[ -n $verbs ]]; then options=""; fi
    COMPREPLY=($(compgen -W "$verbs $options" -- "$current"))
}
complete -o default -F _armillary armillary
"""
_ZSH: Final = """\
#compdef armillary
# zsh completion of armillary: keep this as _armillary in a folder of $fpath, or source it after compinit
_armillary_names() {
    local -a found
    found=(${(f)"$(armillary completion-names $1 "${words[CURRENT]}" "${(@)words[2,-1]}" 2>/dev/null)"})
    compadd -- ${found%%$'\\t'*}
}
_armillary() {
    local at="" before=${words[CURRENT-1]} word i
    local -a verbs options possible
    for ((i = 2; i < CURRENT; i++)); do
        word=${words[i]}
        case "$at $word" in
@DEEPER@
            (*) break ;;
        esac
    done
    case "$at $before" in
@VALUES@
    esac
    case "$at" in
@WORDS@
    esac
    if [[ ${words[CURRENT]} == -* || ${#verbs} == 0 ]]; then
        _describe -o option options
        [[ ${words[CURRENT]} == -* ]] || _files
    else
        _describe command verbs
    fi
}
if [[ $funcstack[1] == _armillary ]]; then _armillary "$@"; else compdef _armillary armillary; fi
"""
_FISH: Final = """\
# fish completion of armillary: keep this as ~/.config/fish/completions/armillary.fish
function __armillary_names
    armillary completion-names $argv 2>/dev/null
end
function __armillary_complete
    set -l given (commandline -opc)[2..]
    set -l current (commandline -ct)
    set -l at ""
    for word in $given
        switch "$at $word"
@DEEPER@
            case '*'
                break
        end
    end
    set -l before ""
    if test (count $given) -gt 0
        set before $given[-1]
    end
    switch "$at $before"
@VALUES@
    end
    set -l verbs
    set -l options
    switch "$at"
@WORDS@
    end
    if string match -q -- '-*' "$current"; or test (count $verbs) -eq 0
        printf '%s\\n' $options
        string match -q -- '-*' "$current"; or __fish_complete_path "$current"
    else
        printf '%s\\n' $verbs
    end
end
complete -c armillary -f -a '(__armillary_complete)'
"""


def bash(found: Sequence[Place]) -> str:
    """The script for bash 3.2 and later."""
    deeper = [f'            {_patterns(each)}) at="$at $word" ;;' for each in found if each.verbs]
    values = [
        *_valued(
            found,
            lambda pattern, text: (
                f'        {pattern}) COMPREPLY=($(compgen -W {_quoted(text)} -- "$current")); return ;;'
            ),
        ),
        f'        {_files(found)}) COMPREPLY=($(compgen -f -- "$current")); return ;;',
        *(f"        {each}) _armillary_names {kind}; return ;;" for kind, each in _named(found)),
        f"        {_free(found)}) compopt +o default 2>/dev/null; return ;;",
    ]
    words = [
        f"        {_quoted(_at(each))}) verbs={_quoted(_texts(each.verbs))} options={_quoted(_texts(each.options))} ;;"
        for each in found
    ]
    return _filled(_BASH, deeper, values, words)


def zsh(found: Sequence[Place]) -> str:
    """The script for zsh 5."""
    deeper = [f'            ({_patterns(each)}) at="$at $word" ;;' for each in found if each.verbs]
    values = [
        *_valued(
            found, lambda pattern, text: f"        ({pattern}) possible=({text}); _describe value possible; return ;;"
        ),
        f"        ({_files(found)}) _files; return ;;",
        *(f"        ({each}) _armillary_names {kind}; return ;;" for kind, each in _named(found)),
        f"        ({_free(found)}) return ;;",
    ]
    words = [
        f"        ({_quoted(_at(each))}) verbs=({_described(each.verbs)}) options=({_described(each.options)}) ;;"
        for each in found
    ]
    return _filled(_ZSH, deeper, values, words)


def fish(found: Sequence[Place]) -> str:
    """The script for fish 3 and later."""
    deeper = [
        f'            case {_patterns(each).replace("|", " ")}\n                set at "$at $word"'
        for each in found
        if each.verbs
    ]
    values = [
        *_valued(
            found,
            lambda pattern, text: (
                f"        case {pattern.replace('|', ' ')}\n            printf '%s\\n' {text}\n            return"
            ),
        ),
        (
            f"        case {_files(found).replace('|', ' ')}\n"
            '            __fish_complete_path "$current"\n            return'
        ),
        *(
            f'        case {each.replace("|", " ")}\n            __armillary_names {kind} "$current" $given\n'
            "            return"
            for kind, each in _named(found)
        ),
        f"        case {_free(found).replace('|', ' ')}\n            return",
    ]
    words = [
        f"        case {_quoted(_at(each))}\n            set verbs {_tabbed(each.verbs)}\n"
        f"            set options {_tabbed(each.options)}"
        for each in found
    ]
    return _filled(_FISH, deeper, values, words)


SCRIPTS: Final[Mapping[str, Callable[[Sequence[Place]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


def _filled(script: str, deeper: Iterable[str], values: Iterable[str], words: Iterable[str]) -> str:
    for name, lines in (("@DEEPER@", deeper), ("@VALUES@", values), ("@WORDS@", words)):
        script = script.replace(name, "\n".join(lines))
    return script


def _at(place: Place, *more: str) -> str:
    """A command as the scripts write it: a space before each of its words."""
    return "".join(f" {word}" for word in (*place.path, *more))


def _patterns(place: Place) -> str:
    return "|".join(_quoted(_at(place, verb.text)) for verb in place.verbs)


def _valued(found: Sequence[Place], line: Callable[[str, str], str]) -> list[str]:
    """A line for each option with a list of values."""
    return [
        line(_quoted(_at(each, option)), " ".join(values))
        for each in found
        for option, values in each.values.items()
        if values
    ]


def _files(found: Sequence[Place]) -> str:
    return "|".join(_quoted(_at(each, name)) for each in found for name, values in each.values.items() if not values)


def _free(found: Sequence[Place]) -> str:
    return "|".join(_quoted(_at(each, name)) for each in found for name in each.free)


def _named(found: Sequence[Place]) -> list[tuple[str, str]]:
    """Each kind of names with the patterns of the options that take one."""
    patterns: dict[str, list[str]] = {}
    for each in found:
        for option, kind in each.named.items():
            patterns.setdefault(kind, []).append(_quoted(_at(each, option)))
    return [(kind, "|".join(each)) for kind, each in sorted(patterns.items())]


def _texts(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _described(words: Sequence[Word]) -> str:
    return " ".join(_quoted(f"{word.text.replace(':', chr(92) + ':')}:{word.about}") for word in words)


def _tabbed(words: Sequence[Word]) -> str:
    return " ".join(f"{word.text}\\t{_fish_quoted(word.about)}" for word in words)


def _quoted(text: str) -> str:
    """Text in single quotes, as bash and zsh read them."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

# complete.zsh SCRIPT OUT LINE: writes into OUT what an interactive zsh that has
# read SCRIPT offers for LINE, one a line.
#
# With -O, -A and -D compadd offers nothing: somebody only looks what fits.
zmodload zsh/zpty || exit 2
zpty shell zsh -f -i
zpty -w shell "PROMPT= script=${(q)1} out=${(q)2}"
zpty -w shell 'source $script
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then builtin compadd "$@"; return; fi
  typeset -a offered
  builtin compadd -O offered "$@"
  print -rl -- $offered >> $out
  builtin compadd "$@"
}
tell() { print; print -r -- "over""now" }
comppostfuncs=(tell)
bindkey "^I" complete-word
print -r -- "ready""now"'
while zpty -r shell line; do [[ $line == readynow* ]] && break; done
zpty -w -n shell "$3"$'\t'
while zpty -r shell line; do [[ $line == overnow* ]] && break; done
zpty -d shell

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints what a shell needs to complete command lines. The libraries
// for that turn the program itself into the one that completes, whenever a
// variable of the environment says so; a script leaves it out of it.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is the second paragraph of the help text.
func (completionCmd) Help() string {
	return "Bash and zsh: source <(fieldveil completion bash), or zsh, in the file that the shell reads at its start. " +
		"Fish: fieldveil completion fish > ~/.config/fish/completions/fieldveil.fish"
}

// Run prints the script.
func (c completionCmd) Run(t *terminal, k *kong.Kong) error {
	places := completionPlaces(k.Model.Node, "")
	if c.Shell == "fish" {
		return writeFish(t.out, k.Model.Name, places)
	}
	if c.Shell == "zsh" {
		if _, err := io.WriteString(t.out, "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"); err != nil {
			return err
		}
	}
	return writeBash(t.out, k.Model.Name, places)
}

// A place is where one can be on the command line: behind the words of a command.
type place struct {
	path  string // " kek create"; "" at the beginning
	words []suggestion
	enums []choice
}

// A suggestion is a command or a flag.
type suggestion struct {
	word, help string
	takes      bool // a flag with a value
}

// A choice is a flag, or an argument where flag is "", with the values it takes.
type choice struct {
	flag   string
	values []string
}

// completionPlaces lists the place of a node, and those below it.
func completionPlaces(n *kong.Node, path string) []place {
	p := place{path: path}
	var below []place
	for _, c := range n.Children {
		if !c.Hidden {
			p.words = append(p.words, suggestion{word: c.Name, help: c.Help})
			below = append(below, completionPlaces(c, path+" "+c.Name)...)
		}
	}
	for _, level := range n.AllFlags(true) {
		for _, f := range level {
			p.words = append(p.words, suggestion{"--" + f.Name, f.Help, !f.IsBool()})
			if f.Enum != "" {
				p.enums = append(p.enums, choice{"--" + f.Name, f.EnumSlice()})
			}
		}
	}
	for _, a := range n.Positional {
		if a.Enum != "" {
			p.enums = append(p.enums, choice{"", a.EnumSlice()})
		}
	}
	return append([]place{p}, below...)
}

// writeBash writes a script for bash. A word that is a command moves on, all other
// words are passed over; where nothing fits, it is a file.
func writeBash(w io.Writer, program string, places []place) error {
	var moves, words, values strings.Builder
	for _, p := range places {
		if p.path != "" {
			fmt.Fprintf(&moves, "      %q) path=\"$path $word\" ;;\n", p.path)
		}
		var all []string
		for _, s := range p.words {
			all = append(all, s.word)
		}
		for _, c := range p.enums {
			if c.flag == "" {
				all = append(all, c.values...)
				continue
			}
			fmt.Fprintf(&values, "    %q) words=%q ;;\n", p.path+" "+c.flag, strings.Join(c.values, " "))
		}
		fmt.Fprintf(&words, "    %q) words=%q ;;\n", p.path, strings.Join(all, " "))
	}
	_, err := fmt.Fprintf(w, `_%[1]s() {
  local word path= words= i current=${COMP_WORDS[COMP_CWORD]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case "$path $word" in
%[2]s    esac
  done
  case "$path" in
%[3]s  esac
  case "$path ${COMP_WORDS[COMP_CWORD-1]}" in
%[4]s  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _%[1]s %[1]s
`, program, moves.String(), words.String(), values.String())
	return err
}

// writeFish writes a script for fish.
func writeFish(w io.Writer, program string, places []place) error {
	var moves, rules strings.Builder
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	for _, p := range places {
		if p.path != "" {
			moves.WriteString(" " + quote(p.path))
		}
		at := "complete -c " + program + " -n " + quote(`test "$(__`+program+`_path)" = "`+p.path+`"`)
		for _, s := range p.words {
			flag, isFlag := strings.CutPrefix(s.word, "--")
			switch {
			case !isFlag:
				fmt.Fprintf(&rules, "%s -f -a %s -d %s\n", at, s.word, quote(s.help))
			case s.takes:
				fmt.Fprintf(&rules, "%s -l %s -r -d %s\n", at, flag, quote(s.help))
			default:
				fmt.Fprintf(&rules, "%s -l %s -d %s\n", at, flag, quote(s.help))
			}
		}
		for _, c := range p.enums {
			as := " -f"
			if flag, ok := strings.CutPrefix(c.flag, "--"); ok {
				as = " -x -l " + flag
			}
			fmt.Fprintf(&rules, "%s%s -a %s\n", at, as, quote(strings.Join(c.values, " ")))
		}
	}
	_, err := fmt.Fprintf(w, `function __%[1]s_path
  set -l path ''
  for word in (commandline -opc)[2..]
    contains -- "$path $word"%[2]s; and set path "$path $word"
  end
  echo $path
end
%[3]s`, program, moves.String(), rules.String())
	return err
}

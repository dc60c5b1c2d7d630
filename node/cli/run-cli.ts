/**
 * The `dtss` command line: finds the command, loads its module (and only this one, so that `dtss status` does not load a
 * node), and turns what it throws into messages and exit codes.
 */
import { Command, CommanderError } from 'commander'
import { EXIT } from './context.ts'
import type { CliContext } from './context.ts'
import { reportError } from './report-error.ts'

/** What each file of `commands/` exports. */
interface CommandModule {
  /** Adds arguments, options and the action. The action sets `context.exitCode` when it is not 0. */
  define(command: Command, context: CliContext): void
}

interface Entry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<CommandModule>
}

const COMMANDS: readonly Entry[] = [
  { name: 'start', summary: 'start a node', load: () => import('./commands/start.ts') },
  { name: 'dev', summary: 'start three nodes on this machine', load: () => import('./commands/dev.ts') },
  {
    name: 'submit',
    summary: 'submit tasks from a file, or one from options',
    load: () => import('./commands/submit.ts')
  },
  { name: 'status', summary: 'how far a task is', load: () => import('./commands/status.ts') },
  { name: 'result', summary: 'what came of a task', load: () => import('./commands/result.ts') },
  { name: 'list', summary: 'tasks, newest first', load: () => import('./commands/list.ts') },
  { name: 'logs', summary: 'the output of a task', load: () => import('./commands/logs.ts') },
  { name: 'cancel', summary: 'cancel a task', load: () => import('./commands/cancel.ts') },
  { name: 'eta', summary: 'when a task will be done', load: () => import('./commands/eta.ts') },
  { name: 'why', summary: 'why a task is where it is', load: () => import('./commands/why.ts') },
  {
    name: 'alarms',
    summary: 'deadlines at risk, and what is stuck',
    load: () => import('./commands/alarms.ts')
  },
  { name: 'suggest', summary: 'what tasks should ask for', load: () => import('./commands/suggest.ts') },
  { name: 'policy', summary: 'the policy that places tasks', load: () => import('./commands/policy.ts') },
  { name: 'model', summary: 'the model that predicts run times', load: () => import('./commands/model.ts') },
  { name: 'lab', summary: 'replay history under other policies', load: () => import('./commands/lab.ts') },
  { name: 'nodes', summary: 'the cluster and its members', load: () => import('./commands/nodes.ts') }
]

const EXIT_CODES = `
Exit codes: 0 success; 1 a task failed, the cluster refused, or there are alarms; 2 the command line or a
file is wrong, or the request is not valid; 3 no node answered, or the cluster has no leader; 130 interrupted.`

/** Runs one command line (without the program's own name) and returns its exit code. */
export async function runCli(argv: readonly string[], context: CliContext, version: string): Promise<number> {
  const json = argv.includes('--json')
  try {
    const program = newProgram(context, version)
    const wanted = argv[0] === 'help' ? argv[1] : argv[0]
    for (const entry of COMMANDS) {
      const command = program.command(entry.name).description(entry.summary)
      if (entry.name === wanted) (await entry.load()).define(command, context)
    }
    await program.parseAsync(argv, { from: 'user' })
    return context.exitCode
  } catch (error) {
    // Help and version were asked for, and shown.
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok
    return reportError(context, error, json)
  }
}

function newProgram(context: CliContext, version: string): Command {
  return new Command('dtss')
    .description('Distributed task scheduling: submit work to a cluster of identical nodes.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      // Told with its code, like every other error.
      outputError: () => undefined
    })
    .showSuggestionAfterError()
    .addHelpText('after', EXIT_CODES)
}

/**
 * `npm run bench -- <name> [options]`: benchmarks and demonstrations. Each prints one JSON object as the last line of
 * standard output when asked with `--json`, and answers with its exit code: 1 when what it prints is lost.
 */
import { endOnLostOutput } from '../node/cli/lost-output.ts'

interface Bench {
  run(argv: string[]): Promise<number>
}

const BENCHES: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Bench> }>> = {
  raft: { summary: 'commands through the log of three processes', load: () => import('./raft.ts') },
  throughput: {
    summary: 'tasks submitted to completed on three processes',
    load: () => import('./throughput.ts')
  },
  isolation: {
    summary: 'the log and the leases beside tasks that saturate the machine',
    load: () => import('./isolation.ts')
  },
  scheduler: { summary: 'the task machine alone, in one process', load: () => import('./scheduler.ts') },
  policies: { summary: 'placement policies on traces, simulated', load: () => import('./policies.ts') },
  estimators: {
    summary: 'how well run times are predicted on a trace',
    load: () => import('./estimators.ts')
  },
  sim: { summary: 'whole nodes under simulated faults, by seed', load: () => import('./sim.ts') },
  live: {
    summary: 'a trace replayed on real processes, beside the forecast of the simulator',
    load: () => import('./live.ts')
  },
  failover: {
    summary: 'demonstration: kill and pause nodes under load',
    load: () => import('./failover.ts')
  },
  'bad-input': {
    summary: 'demonstration: what is refused, how, and that nothing is lost',
    load: () => import('./bad-input.ts')
  }
}

endOnLostOutput('bench')
const [name = '', ...argv] = process.argv.slice(2)
const bench = BENCHES[name]
const list = Object.entries(BENCHES).map(([known, { summary }]) => `  ${known.padEnd(12)} ${summary}`)
if (name === '--help' || name === '-h') {
  console.log(
    ['Usage: npm run bench -- NAME [options]; NAME --help explains its options', '', ...list].join('\n')
  )
} else if (bench === undefined) {
  console.error([`bench: got "${name}", expected one of`, ...list].join('\n'))
  process.exitCode = 2
} else {
  process.exitCode = await (await bench.load()).run(argv)
}

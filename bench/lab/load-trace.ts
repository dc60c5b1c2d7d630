/** Reads a trace from disk, by what its path looks like, and hands it to the parser of its format. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { AppError } from '../../base/errors.ts'
import { parseHistoryFile } from '../../node/cli/lab/history-file.ts'
import { wrongOption } from '../../node/cli/lab/option-values.ts'
import { sha256 } from '../../node/cli/lab/provenance.ts'
import { historyTrace } from '../../optimizer/lab/history-trace.ts'
import { firstPods, openbTrace, parseOpenbNodes, parseOpenbPods } from '../../optimizer/lab/openb.ts'
import { parseSwf, partOf } from '../../optimizer/lab/swf.ts'
import { swfTrace } from '../../optimizer/lab/swf-trace.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../optimizer/lab/synthetic.ts'
import { parseTpch } from '../../optimizer/lab/tpch.ts'
import { TPCH_DEFAULTS, tpchTrace } from '../../optimizer/lab/tpch-trace.ts'
import type { Trace } from '../../optimizer/lab/trace.ts'
import { parseVmNoise } from '../../optimizer/lab/vm-noise.ts'
import { parseWorkflows } from '../../optimizer/lab/wfinstances.ts'
import { workflowTrace } from '../../optimizer/lab/wfinstances-trace.ts'

export interface LoadOptions {
  /** Jobs, workflows or tasks taken from the beginning. */
  readonly limit?: number | undefined
  /** SWF: jobs that are skipped before those. */
  readonly from?: number | undefined
  /** SWF: overlapping parts of the log, of `limit` jobs each, instead of its beginning. */
  readonly windows?: number | undefined
  /** Nodes of the simulated cluster, where the format leaves that open. */
  readonly nodes?: number | undefined
  /** TPC-H: jobs that arrive, and the mean gap between them in seconds. */
  readonly jobs?: number | undefined
  readonly gapS?: number | undefined
  /** A file of machine noise, for the synthetic trace. */
  readonly noise?: string | undefined
  /** The load that runs will be given. */
  readonly load?: number | undefined
}

/** A trace, and what it was read from. */
export interface LoadedTrace {
  readonly trace: Trace
  /** SHA-256 of the file, as it is on disk (openb: of pods and nodes, one after the other); undefined for what is made up. */
  readonly sha256: string | undefined
}

type Format = 'synthetic' | 'swf' | 'workflows' | 'tpch' | 'history' | 'openb'

const FORMATS: Readonly<Record<Format, { readonly called: string; readonly uses: readonly Narrowing[] }>> = {
  synthetic: { called: 'the synthetic trace', uses: ['limit', 'nodes', 'noise'] },
  swf: { called: 'an SWF log (.swf)', uses: ['limit', 'from', 'windows'] },
  workflows: { called: 'workflows (.jsonl with "tasks")', uses: ['limit', 'nodes'] },
  tpch: { called: 'TPC-H (.jsonl with "stages")', uses: ['limit', 'nodes', 'jobs', 'gapS'] },
  history: { called: 'a history (.ndjson)', uses: ['limit'] },
  openb: { called: 'openb (.csv)', uses: ['limit'] }
}

/** What not all formats use, with the option that gives it. */
const OPTIONS = {
  limit: 'limit',
  from: 'from',
  windows: 'windows',
  nodes: 'nodes',
  jobs: 'jobs',
  gapS: 'gap',
  noise: 'noise'
} as const
type Narrowing = keyof typeof OPTIONS

/** The trace at `path`, or the synthetic one. Throws `INVALID_REQUEST` when it cannot be read, or does not use an option. */
export function loadTrace(path: string, options: LoadOptions): LoadedTrace {
  if (path === 'synthetic') return { trace: synthetic(options), sha256: undefined }
  if (!existsSync(path)) throw unreadable(path, 'no such file', 'a trace file or "synthetic"')
  const file = statSync(path).isDirectory() ? join(path, 'openb_pods.csv') : path
  const bytes = read(file)
  const trace = parse(file, unpacked(file, bytes), options)
  const beside = trace.family === 'packing' ? [read(nodesFile(file))] : []
  return { trace, sha256: sha256(Buffer.concat([bytes, ...beside])) }
}

/** By what the name ends in. */
function parse(path: string, text: string, options: LoadOptions): Trace {
  const name = basename(path).replace(/\.gz$/, '')
  const bare = name.replace(/\.[a-z]+$/, '')
  if (name.endsWith('.swf')) return swf(path, bare, text, options)
  if (name.endsWith('.csv')) return openb(path, text, options)
  if (name.endsWith('.ndjson')) return recorded(path, bare, text, options)
  if (name.endsWith('.jsonl')) return jsonl(path, bare, text, options)
  throw unreadable(
    path,
    basename(path),
    'a name that ends in .swf, .jsonl, .ndjson, .csv (or these with .gz)'
  )
}

/** Refuses what would be asked for in vain. */
function checkUsed(format: Format, options: LoadOptions): void {
  const { called, uses } = FORMATS[format]
  for (const [narrowing, option] of Object.entries(OPTIONS) as [Narrowing, string][]) {
    const got = options[narrowing]
    if (got === undefined || uses.includes(narrowing)) continue
    throw wrongOption(option, String(got), `none: ${called} does not use it`)
  }
}

function swf(path: string, name: string, text: string, options: LoadOptions): Trace {
  checkUsed('swf', options)
  const { limit, from = 0, windows } = options
  const log = parseSwf(text.split('\n'), path)
  if (from >= log.jobs.length) {
    throw wrongOption('from', String(from), `fewer than the ${log.jobs.length} jobs of the log`)
  }
  if (windows === undefined) return swfTrace(name, partOf(log, from, limit))
  return swfTrace(name, partOf(log, from), { count: windows, jobs: limit })
}

function jsonl(path: string, name: string, text: string, options: LoadOptions): Trace {
  const lines = text.split('\n')
  // Jobs of Spark have stages, workflows have tasks: the first line tells which.
  if (/"stages"\s*:/.test(lines.find((line) => line.trim() !== '') ?? '')) {
    return tpch(path, name, lines, options)
  }
  checkUsed('workflows', options)
  return workflowTrace(name, parseWorkflows(lines, path).slice(0, options.limit), options.nodes)
}

function tpch(path: string, name: string, lines: readonly string[], options: LoadOptions): Trace {
  checkUsed('tpch', options)
  const { nodes, jobs, limit, gapS, load } = options
  if (limit !== undefined && jobs !== undefined) {
    throw wrongOption('limit', String(limit), 'none beside --jobs, which says the same')
  }
  if (gapS !== undefined && load !== undefined) {
    throw wrongOption('gap', String(gapS), 'none beside --load, which sets the gaps')
  }
  return tpchTrace(name, parseTpch(lines, path), {
    ...TPCH_DEFAULTS,
    executors: nodes ?? TPCH_DEFAULTS.executors,
    jobs: jobs ?? limit ?? TPCH_DEFAULTS.jobs,
    gapMs: gapS === undefined ? TPCH_DEFAULTS.gapMs : gapS * 1000
  })
}

/** What `dtss lab --save` wrote. */
function recorded(path: string, name: string, text: string, options: LoadOptions): Trace {
  checkUsed('history', options)
  const { nodes, tasks } = parseHistoryFile(text, path)
  return historyTrace(name, tasks.slice(0, options.limit), nodes)
}

function openb(path: string, text: string, options: LoadOptions): Trace {
  checkUsed('openb', options)
  const nodesPath = nodesFile(path)
  if (nodesPath === path) throw unreadable(path, basename(path), 'a name that contains "pods"')
  const source = firstPods(parseOpenbPods(text, path), options.limit)
  return openbTrace('openb', source, parseOpenbNodes(textOf(nodesPath), nodesPath))
}

/** The table of nodes beside that of pods. */
function nodesFile(path: string): string {
  return join(dirname(path), basename(path).replace('pods', 'nodes'))
}

function synthetic(options: LoadOptions): Trace {
  checkUsed('synthetic', options)
  const noise = options.noise === undefined ? undefined : parseVmNoise(textOf(options.noise), options.noise)
  return syntheticTrace({
    ...SYNTHETIC_DEFAULTS,
    tasks: options.limit ?? SYNTHETIC_DEFAULTS.tasks,
    nodes: options.nodes ?? SYNTHETIC_DEFAULTS.nodes,
    ...(noise !== undefined && { noise })
  })
}

function textOf(path: string): string {
  return unpacked(path, read(path))
}

function read(path: string): Buffer {
  return readable(path, () => readFileSync(path))
}

/** By its name, and by what it begins with where the name does not say. */
function unpacked(path: string, bytes: Buffer): string {
  const isPacked = path.endsWith('.gz') || (bytes[0] === 0x1f && bytes[1] === 0x8b)
  return readable(path, () => withoutMark((isPacked ? gunzipSync(bytes) : bytes).toString('utf8')))
}

/** Without the byte order mark that some editors begin files with. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function readable<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : String(error), 'a readable file', error)
  }
}

function unreadable(path: string, got: string, expected: string, cause?: unknown): AppError {
  return new AppError('INVALID_REQUEST', `trace ${path}: got ${got}, expected ${expected}`, {
    cause,
    details: { field: 'trace', got: path, expected }
  })
}

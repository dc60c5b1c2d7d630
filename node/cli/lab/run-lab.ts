/**
 * Runs the policy lab on a trace and says what came of it: as a table, as one JSON object, as a file with plots. Shared by
 * `dtss lab` and the lab's own command, which differ in where traces come from.
 */
import { AppError } from '../../../base/errors.ts'
import type { Calibration } from '../../../optimizer/lab/calibration.ts'
import type { PolicyEntry } from '../../../optimizer/lab/catalog.ts'
import { choosePolicies, instancesOf } from '../../../optimizer/lab/choice.ts'
import { plotData } from '../../../optimizer/lab/plot-data.ts'
import type { PlotData } from '../../../optimizer/lab/plot-data.ts'
import { runProtocol } from '../../../optimizer/lab/protocol.ts'
import type { Run, TraceReport } from '../../../optimizer/lab/protocol.ts'
import { calibrationLines, jsonReport, noteLines, textReport } from '../../../optimizer/lab/text-report.ts'
import type { Trace } from '../../../optimizer/lab/trace.ts'
import { warmUp } from '../../../optimizer/lab/warm-up.ts'
import { htmlReport } from './html.ts'
import type { Page } from './html.ts'
import { interruptible } from './interruptible.ts'
import { writeOutput, writeOutputs } from './outputs.ts'
import { progressDisplay } from './progress.ts'
import { provenanceOf } from './provenance.ts'
import { RunFacts } from './run-facts.ts'
import { TaskFile } from './task-file.ts'

/** Tasks that each policy ends before it is timed. */
const WARM_UP_TASKS = 3000
/** A load that is further from what was asked for is told of. */
const LOAD_TOLERANCE = 0.02

export interface LabRun {
  readonly policies: readonly string[] | undefined
  readonly load: number | undefined
  readonly seeds: number | undefined
  /** Files to write, if any; `checkOutputs` has seen them. */
  readonly html: string | undefined
  readonly svg: string | undefined
  readonly tasks: string | undefined
  /** All that was asked for, by option, for the report. */
  readonly asked: Readonly<Record<string, unknown>>
  /** Of the trace's file as it is on disk; undefined when there is none. */
  readonly traceSha256: string | undefined
}

export interface LabWorld {
  /** What can be asked for. */
  readonly among: readonly PolicyEntry[]
  /** How good predictors are on a run's completions. */
  readonly calibrate: (run: Run) => Calibration[]
  /** The report, as text for people. */
  readonly print: (text: string) => void
  /** The object that `--json` promises; undefined when nobody asked. */
  readonly printJson: ((report: object) => void) | undefined
  /** Progress and notes. */
  readonly note: (line: string) => void
  readonly isTerminal: boolean
  /** Aborted by what is to end the command before its next run; absent where signals end the process. */
  readonly signal?: AbortSignal
}

/** Runs everything, prints what came of it, and only then writes files, which may still fail. Errors: INVALID_REQUEST. */
export async function runLab(trace: Trace, options: LabRun, world: LabWorld): Promise<void> {
  if (options.load !== undefined && !trace.loadIsUsed) {
    throw new AppError(
      'INVALID_REQUEST',
      `--load: got ${options.load}, expected none: ${trace.name} runs one DAG at a time`
    )
  }
  // What runs is what was loaded: in hours of measuring others may commit.
  const provenance = provenanceOf()
  const policies = choosePolicies(trace, options.policies, world.among)
  const seeds = options.seeds ?? trace.defaultSeeds
  const instances = instancesOf(trace, seeds, options.load)
  if (instances === 0) {
    throw new AppError('INVALID_REQUEST', `${trace.name}: got no task to run, expected at least one`)
  }
  const display = progressDisplay(instances * policies.length, world.isTerminal, world.note, () =>
    performance.now()
  )
  const draws = options.html !== undefined || options.svg !== undefined
  // Plots and calibration show the first instance; the others are dropped once they are measured.
  const shown: Run[] = []
  const facts = new RunFacts(trace)
  const taskFile = options.tasks === undefined ? undefined : new TaskFile(options.tasks)
  const run = (): TraceReport => {
    warmUp(trace, { policies, load: options.load, tasks: WARM_UP_TASKS, clockUs })
    return runProtocol(trace, {
      policies,
      seeds,
      load: options.load,
      record: draws,
      clockUs,
      onProgress: (progress) => {
        display.update(progress)
      },
      onResult: (run) => {
        facts.add(run)
        taskFile?.add(run)
        if (shown[0] === undefined || run.instance === shown[0].instance) shown.push(run)
      }
    })
  }
  let report: TraceReport
  try {
    report = await interruptible(world.signal, run)
  } finally {
    display.stop()
    taskFile?.close()
  }
  const [first] = shown
  const calibrations =
    first === undefined ? [] : await interruptible(world.signal, () => world.calibrate(first))
  world.print(textReport(report, provenance))
  for (const line of calibrationLines(calibrations)) world.print(line)
  const notes = [...loadNotes(options.load ?? trace.defaultLoad, report.load), ...facts.notes()]
  const lines = noteLines(trace.leftOut, notes)
  for (const line of lines) world.print(line)
  const json = jsonReport(report, provenance, {
    calibration: calibrations[0],
    options: options.asked,
    traceSha256: options.traceSha256 ?? null,
    cluster: facts.cluster(),
    leftOut: trace.leftOut,
    notes,
    runs: facts.runs
  })
  world.printJson?.(json)
  if (draws) {
    const page = { report, provenance, notes: lines, json }
    await draw(options, page, plotData(shown, report.policies, calibrations), world)
  }
  taskFile?.check()
}

function loadNotes(wanted: number | undefined, load: number): string[] {
  if (wanted === undefined || Math.abs(load - wanted) <= LOAD_TOLERANCE * wanted) return []
  return [`the load is ${load.toFixed(3)}, not the ${wanted} that was aimed at`]
}

async function draw(options: LabRun, page: Page, data: PlotData, { note }: LabWorld): Promise<void> {
  // Loaded only when asked for: it is larger than everything else here.
  const { drawCharts } = await import('./charts.ts')
  const charts = drawCharts(data)
  if (options.html !== undefined) {
    writeOutput('html', options.html, htmlReport(page, charts))
    note(`wrote ${options.html}`)
  }
  if (options.svg === undefined) return
  writeOutputs(
    'svg',
    options.svg,
    charts.map(({ id, svg }) => [`${id}.svg`, svg])
  )
  note(`wrote ${charts.length} plots to ${options.svg}`)
}

function clockUs(): number {
  return performance.now() * 1000
}

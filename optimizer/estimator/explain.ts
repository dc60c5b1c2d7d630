/**
 * Why a prediction is what it is: which experts it comes from, and what each thing that is known of the task makes of the median. For people;
 * asked rarely.
 *
 * Factors go along what a task's class is made of, from tasks of any kind to this class: each is the median of the tasks that are alike so
 * far over that of the level before. Their product leads from the typical task's median to the predicted one, exactly: what is too small
 * to be told is passed on to the next.
 */
import type { NodeView } from '../../scheduler/policy.ts'
import { FINE_BINS, quantileLn } from './bins.ts'
import type { CellStatistics } from './cell-statistics.ts'
import { TENANT_LEVEL } from './class-entry.ts'
import type { ClassEntry } from './class-entry.ts'
import type { TaskClass } from './class-tree.ts'
import { EXPERTS } from './experts.ts'
import type { ExpertMasses } from './experts.ts'
import { COMPONENTS } from './hedge.ts'
import { Mixture } from './mixture.ts'
import { GUESS } from './statistics.ts'

const MOST_SHOWN = 8
/** A factor that is nearer to 1 than this is not told. */
const LEAST_TOLD_LN = 0.01
/** Runs that the level before counts for, as for most experts; of the first guess as little as in `statistics.ts`. */
const PRIOR_WEIGHT = 0.5
const GUESS_WEIGHT = 0.2
const NETWORK = COMPONENTS.indexOf('network')

export interface PredictionExplanation {
  readonly class: string
  /** Completions of the class and of its tenant so far. */
  readonly classCompletions: number
  readonly tenantCompletions: number
  readonly medianMs: number
  readonly p90Ms: number
  readonly p99Ms: number
  /** By how much the node multiplies run times; 1 when none was named. */
  readonly nodeFactor: number
  /** Weight of each component. */
  readonly components: Readonly<Record<string, number>>
  /** What the mixture is made of, heaviest first: each expert's weight and its own median. */
  readonly experts: readonly { readonly name: string; readonly weight: number; readonly medianMs: number }[]
  /** Median over tasks of all kinds, which `features` lead from. */
  readonly typicalMs: number
  /** What each thing that is known multiplies the median by, in order, where that is more than a hundredth. */
  readonly features: readonly Factor[]
  /** Whether the class behaves anew, so that the network is not asked. */
  readonly drifting: boolean
}

interface Factor {
  readonly name: string
  readonly factor: number
}

type ClassOfCells = TaskClass<CellStatistics>

/** What an explanation is made from. */
interface Explained {
  /** All classes that are known. */
  readonly classes: Iterable<ClassOfCells>
  readonly taskClass: ClassOfCells
  /** Up to date, and so are the experts of the class. */
  readonly entry: ClassEntry
  readonly experts: ExpertMasses
  /** Undefined for a typical one. */
  readonly node: NodeView | undefined
  readonly drifting: boolean
}

/** Explains the prediction for a class on a node. */
export function explanationOf(of: Explained): PredictionExplanation {
  const { taskClass, entry, experts, node, drifting } = of
  const prediction = entry.on(node)
  const { medianMs } = prediction
  const nodeFactor = entry.factorOn(node)
  return {
    class: taskClass.path.split('\n').join(' / '),
    classCompletions: taskClass.cells.at(-1)?.value.durations.count ?? 0,
    tenantCompletions: taskClass.cells[TENANT_LEVEL]?.value.durations.count ?? 0,
    medianMs,
    p90Ms: prediction.quantileMs(0.9),
    p99Ms: prediction.quantileMs(0.99),
    nodeFactor,
    components: componentsOf(entry.mixture),
    experts: expertsOf(entry.mixture, experts, taskClass.limitMs),
    ...factorsOf(of, medianMs, nodeFactor),
    drifting
  }
}

/** The experts of a mixture, heaviest first. */
function expertsOf(
  mixture: Mixture,
  experts: ExpertMasses,
  limitMs: number
): PredictionExplanation['experts'] {
  const most = limitMs > 0 ? limitMs : Infinity
  return EXPERTS.map((name, index) => ({
    name,
    weight: mixture.weightOf(index),
    medianMs: Math.min(most, Math.exp(quantileLn(experts.of(name), 0.5)))
  }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, MOST_SHOWN)
}

/** The factors that lead to `medianMs`, on a node that multiplies run times by `nodeFactor`. */
function factorsOf(
  { classes, taskClass, entry, experts, node }: Explained,
  medianMs: number,
  nodeFactor: number
): Pick<PredictionExplanation, 'typicalMs' | 'features'> {
  const levels = levelsOf(classes, taskClass)
  const predictedLn = Math.log(medianMs / nodeFactor)
  const plainLn = entry.byNetwork
    ? Math.min(mostLn(taskClass), plainMedianLn(entry.mixture, experts))
    : predictedLn
  const steps: readonly (readonly [string, number])[] = [
    ...levels.steps,
    ['recent and running tasks', plainLn],
    ['network', predictedLn],
    [node === undefined ? 'node' : `node ${node.id}`, predictedLn + Math.log(nodeFactor)]
  ]
  let told = levels.typicalLn
  const features = steps.flatMap(([name, ln]) => {
    if (Math.abs(ln - told) < LEAST_TOLD_LN) return []
    const factor = Math.exp(ln - told)
    told = ln
    return [{ name, factor }]
  })
  return { typicalMs: Math.exp(levels.typicalLn), features }
}

/** ln of the median by what is known of the task, one thing after the other. */
function levelsOf(
  classes: Iterable<ClassOfCells>,
  taskClass: ClassOfCells
): { readonly typicalLn: number; readonly steps: readonly (readonly [string, number])[] } {
  const { cells, tenant, nameKey, limitMs } = taskClass
  const masses = GUESS.slice()
  const along = (level: number, prior = PRIOR_WEIGHT): number => {
    cells[level]?.value.durations.shrink(masses, prior)
    return quantileLn(masses, 0.5)
  }
  const typicalLn = along(0, GUESS_WEIGHT)
  const byTenant = along(2)
  const byName = along(3)
  const [, resources, input] = partsOf(taskClass)
  const named = [...classes].filter((other) => other.nameKey === nameKey)
  const alike = named.filter((other) => partsOf(other)[1] === resources)
  const pooled = (of: readonly ClassOfCells[]): number => {
    pool(of, masses)
    return quantileLn(masses, 0.5)
  }
  // Where all tasks of a name are alike there is nothing to tell apart.
  const byResources = alike.length === named.length ? byName : pooled(alike)
  const fed = alike.filter((other) => partsOf(other)[2] === input)
  const byInput = fed.length === alike.length ? byResources : pooled(fed)
  const byLimit = Math.min(mostLn(taskClass), fed.length === 1 ? byInput : along(5))
  return {
    typicalLn,
    steps: [
      [`tenant ${tenant}`, byTenant],
      [`name ${nameKey.slice(tenant.length + 1)}`, byName],
      [resourcesText(resources), byResources],
      [inputText(Number(input)), byInput],
      [limitMs > 0 ? `timeout ${limitMs / 1000} s` : 'no timeout', byLimit]
    ]
  }
}

/** Shrinks what these classes took to the masses, and writes it there. */
function pool(classes: readonly ClassOfCells[], masses: Float64Array): void {
  const sum = new Float32Array(FINE_BINS)
  let total = 0
  for (const { cells } of classes) {
    const own = cells.at(-1)?.value.durations
    if (own === undefined || own.weight === 0) continue
    own.addShifted(sum, 0, own.weight)
    total += own.weight
  }
  for (let bin = 0; bin < FINE_BINS; bin++) {
    masses[bin] = ((sum[bin] ?? 0) + PRIOR_WEIGHT * (masses[bin] ?? 0)) / (total + PRIOR_WEIGHT)
  }
}

/** The keys of limit, resources and input. */
function partsOf({ path, nameKey }: ClassOfCells): readonly [string, string, string] {
  const [limit = '', resources = '', input = ''] = path.slice(nameKey.length + 1).split('\n')
  return [limit, resources, input]
}

function resourcesText(key: string): string {
  return key === ''
    ? 'no resources'
    : `resources ${key.slice(0, -1).replaceAll('=', ' ').replaceAll(';', ', ')}`
}

/** `octave` of the size in bytes; below 0 for none. */
function inputText(octave: number): string {
  return octave < 0 ? 'no input' : `input size ${2 ** octave} B and more`
}

/** The mixture's median without the network. */
function plainMedianLn(mixture: Mixture, experts: ExpertMasses): number {
  const plain = new Mixture()
  plain.byRecord.set(mixture.byRecord)
  const others = 1 - (mixture.hedge[NETWORK] ?? 0)
  mixture.hedge.forEach((weight, component) => {
    plain.hedge[component] = component === NETWORK ? 0 : weight / others
  })
  plain.combine(experts)
  return quantileLn(plain.masses, 0.5)
}

function mostLn({ limitMs }: ClassOfCells): number {
  return limitMs > 0 ? Math.log(limitMs) : Infinity
}

/** The weights of the components by name. */
function componentsOf(mixture: Mixture): Readonly<Record<string, number>> {
  return Object.fromEntries(COMPONENTS.map((name, index) => [name, mixture.hedge[index] ?? 0]))
}

/**
 * Every policy that the lab can run, by name. `clairvoyant` names the same policy with the truth instead of
 * predictions: the bound that "gap closed" is measured against.
 */
import { AppError } from '../../base/errors.ts'
import type { Rng } from '../../base/prng.ts'
import type { Policy } from '../../scheduler/policy.ts'
import { policyFactory } from '../../scheduler/policies/index.ts'
import type { Estimator } from '../estimate.ts'
import { createLearnedEstimator } from '../estimator/learned.ts'
import { selfChoosing } from '../guard/self-choosing.ts'
import { dolly } from '../policies/dolly.ts'
import { easy } from '../policies/easy.ts'
import { fair, sharing } from '../policies/fair.ts'
import { fifoPowerOfTwo, fifoRoundRobin, fifoStrict } from '../policies/fifo.ts'
import { dynamicHeft, staticDag } from '../policies/heft.ts'
import { late } from '../policies/late.ts'
import { learnedPolicy } from '../policies/learned/index.ts'
import { known, lastTwo, oracle, runningMean, runningMeanByInput, userLimit } from '../policies/predictors.ts'
import { random } from '../policies/random.ts'
import { shortestFirst } from '../policies/shortest-first.ts'
import { srpt } from '../policies/srpt.ts'
import { tenantFair } from '../policies/tenant-fair.ts'
import { tetris } from '../policies/tetris.ts'
import { simProgress } from '../sim/view.ts'
import { poisoned } from './poisoned.ts'
import type { Poison } from './poisoned.ts'
import type { Family, Instance } from './trace.ts'

/** A policy as the lab knows it. */
export interface PolicyEntry {
  readonly name: string
  readonly about: string
  /** Families whose reports show it when no policies are asked for. */
  readonly families: readonly Family[]
  /** The entry of the same policy with the truth; absent when no prediction is involved. */
  readonly clairvoyant?: string
  /** Whether one policy lives through all runs where they follow each other on one cluster; else each begins with a fresh one. */
  readonly continues?: boolean
  /** A policy that has seen nothing. `rng` is its only source of chance. */
  make(instance: Instance, rng: Rng): Policy
}

/** What a task costs when all are taken to be alike. */
const UNIT_MS = 1000

/** Ends after which predictions that were right are wrong. */
const POISONED_AFTER = 6_000

const unitOf = (instance: Instance): Estimator => known('unit', () => UNIT_MS, instance.speedOf)
const classOf = (instance: Instance): Estimator =>
  known('class', (task) => instance.classMeanMs(task.id), instance.speedOf)
/** Learns from completions, and has no network to train. */
const untrained = (): Estimator => createLearnedEstimator({ rows: false })
const truthOf = (instance: Instance): Estimator => oracle(instance.truthMs, instance.speedOf)

/** No prediction of any kind. */
const UNINFORMED: readonly PolicyEntry[] = [
  {
    name: 'fifo-fit',
    about: 'order of readiness; what fits nowhere lets others pass (production)',
    families: ['independent', 'dags', 'one-dag', 'packing'],
    make: (_, rng) => policyFactory('fifo')(rng)
  },
  { name: 'fifo', about: 'strict order of readiness', families: [], make: () => fifoStrict() },
  {
    name: 'random',
    about: 'random order, random node',
    families: ['one-dag', 'packing'],
    make: (_, rng) => random(rng)
  },
  {
    name: 'round-robin',
    about: 'order of readiness, strictly nodes in turn',
    families: [],
    make: () => fifoRoundRobin()
  },
  {
    name: 'power-of-two',
    about: 'order of readiness, the less loaded of two random nodes',
    families: ['packing'],
    make: (_, rng) => fifoPowerOfTwo(rng)
  },
  {
    name: 'least-loaded',
    about: 'priority, then readiness; the least loaded node (production)',
    families: ['packing'],
    make: (_, rng) => policyFactory('least-loaded')(rng)
  },
  {
    name: 'priority',
    about: 'priority, then readiness; nodes in turn (production)',
    families: [],
    make: (_, rng) => policyFactory('priority')(rng)
  },
  {
    name: 'tenant-fair',
    about: 'the tenant with the fewest running tasks',
    families: ['independent'],
    make: () => tenantFair()
  },
  {
    name: 'late',
    about: 'fifo-fit with speculative copies of slow tasks (LATE); reports of progress are exact',
    families: [],
    make: (_, rng) => late(policyFactory('fifo')(rng), simProgress)
  },
  {
    name: 'dolly',
    about: 'fifo-fit, the tasks of small jobs cloned from the start (Dolly)',
    families: [],
    make: (_, rng) => dolly(policyFactory('fifo')(rng))
  }
]

/** For independent tasks. */
const INDEPENDENT: readonly PolicyEntry[] = [
  shortest('sjf-limit', "least area by the users' limits", () => userLimit()),
  shortest('sjf-last2', "least area by the mean of the user's last two", () => lastTwo({ capped: false })),
  shortest('sjf-last2-limit', 'the same, capped by the limit', () => lastTwo()),
  shortest('sjf-oracle', 'least area by the truth', truthOf),
  backfilling('easy', 'EASY backfilling on limits', false, () => userLimit(), 'easy-oracle'),
  backfilling('easy-sjbf', 'EASY on limits, shortest first', true, () => userLimit(), 'perfect++'),
  backfilling('easy++', 'EASY on last-two predictions, shortest first', true, () => lastTwo(), 'perfect++'),
  backfilling('easy-oracle', 'EASY on the truth', false, truthOf, 'easy-oracle'),
  backfilling('perfect++', 'EASY on the truth, shortest first', true, truthOf, 'perfect++')
]

/** For several DAGs at a time. The truth about a task that is yet to be drawn is its class's mean. */
const GROUPS: readonly PolicyEntry[] = [
  {
    name: 'fifo-group',
    about: 'the earliest group may hold everything',
    families: ['dags'],
    make: () => sharing({ name: 'fifo-group', alpha: 'fifo' })
  },
  { name: 'fair', about: 'equal shares for groups', families: ['dags'], make: () => fair() },
  ...[-2, -1, 1, 2].map((alpha): PolicyEntry => ({
    name: `fair(${alpha})`,
    about: `shares in proportion to a group's work to the power ${alpha}`,
    families: alpha === -1 ? ['dags'] : [],
    make: (instance) => sharing({ name: `fair(${alpha})`, alpha, estimator: classOf(instance) })
  })),
  {
    name: 'srpt',
    about: 'least remaining work first, class means known',
    families: ['dags'],
    make: (instance) => srpt({ name: 'srpt', estimator: classOf(instance) })
  },
  ...[5, 10, 15, 20].map((cap): PolicyEntry => ({
    name: `srpt-cap${cap}`,
    about: `the same, at most ${cap} tasks of a group at a time`,
    families: ['dags'],
    make: (instance) => srpt({ name: `srpt-cap${cap}`, estimator: classOf(instance), cap })
  })),
  {
    name: 'srpt-mean-cap15',
    about: 'the same, with class means learned from completions only',
    families: ['dags'],
    clairvoyant: 'srpt-cap15',
    make: () => srpt({ name: 'srpt-mean-cap15', estimator: runningMeanByInput(), cap: 15 })
  }
]

/** For one DAG. */
const LISTS: readonly PolicyEntry[] = [
  ...(['heft', 'cpop', 'peft'] as const).flatMap((algorithm) => [
    planned(algorithm, 'unit', unitOf),
    planned(algorithm, 'class', classOf),
    planned(algorithm, 'oracle', truthOf)
  ]),
  ...(['unit', 'class', 'oracle'] as const).flatMap((knowledge) => {
    const estimatorOf = { unit: unitOf, class: classOf, oracle: truthOf }[knowledge]
    return [
      decided('heft-greedy', knowledge, estimatorOf, true),
      decided('heft-dynamic', knowledge, estimatorOf, false)
    ]
  }),
  {
    name: 'heft-dynamic-mean',
    about: 'heft-dynamic with class means learned from completions only',
    families: ['one-dag'],
    clairvoyant: 'heft-dynamic-oracle',
    make: () => dynamicHeft({ name: 'heft-dynamic-mean', estimator: runningMean() })
  }
]

const PACKERS: readonly PolicyEntry[] = [
  {
    name: 'tetris',
    about: 'packing by alignment',
    families: ['packing'],
    make: () => tetris({ name: 'tetris' })
  },
  {
    name: 'tetris-oracle',
    about: 'packing by alignment, shortest first by the truth',
    families: ['packing'],
    make: (instance) => tetris({ name: 'tetris-oracle', estimator: truthOf(instance) })
  }
]

/** The learned policy by what it knows: nothing, class means and node speeds, the truth. */
const LEARNED: readonly PolicyEntry[] = [
  {
    ...learned('learned', 'the learned policy; it starts empty and learns from completions', untrained),
    continues: true
  },
  learned('learned-isolated', 'the same, forgetting all after each single DAG', untrained),
  learned('learned-class', 'the same, told class means and node speeds in advance', classOf),
  learned('learned-oracle', 'the same with the truth', truthOf)
]

/** The learned policy under the guard of `policy auto`, and what becomes of that when predictions are poisoned. */
const GUARDED: readonly PolicyEntry[] = [
  guarded('guarded', 'least-loaded, or learned while replays of what ended say so'),
  ...(['inverted', 'constant', 'nan', 'huge'] as const).flatMap((poison) => [
    guarded(`guarded-${poison}`, `the same with ${poison} predictions`, poison),
    guarded(
      `guarded-late-${poison}`,
      `the same, ${poison} from the ${POISONED_AFTER}th end on`,
      poison,
      POISONED_AFTER
    ),
    misled(poison)
  ])
]

/** All policies of the lab. */
export const BASELINES: readonly PolicyEntry[] = [
  ...UNINFORMED,
  ...INDEPENDENT,
  ...GROUPS,
  ...LISTS,
  ...PACKERS,
  ...LEARNED,
  ...GUARDED
]

/** The entries of these names, in their order. Throws `INVALID_REQUEST` for one that does not exist. */
export function findPolicies(
  names: readonly string[],
  among: readonly PolicyEntry[] = BASELINES
): PolicyEntry[] {
  return names.map((name) => {
    const entry = among.find((candidate) => candidate.name === name)
    if (entry !== undefined) return entry
    const expected = among.map((candidate) => candidate.name).join(', ')
    throw new AppError('INVALID_REQUEST', `policy: got "${name}", expected one of ${expected}`, {
      details: { field: 'policies', got: name }
    })
  })
}

/** The entries that a family's report shows when none are asked for. */
export function defaultPolicies(family: Family, among: readonly PolicyEntry[] = BASELINES): PolicyEntry[] {
  return among.filter((entry) => entry.families.includes(family))
}

function learned(name: string, about: string, estimatorOf: (instance: Instance) => Estimator): PolicyEntry {
  const families: readonly Family[] =
    name === 'learned-class'
      ? ['dags', 'one-dag']
      : name === 'learned-isolated'
        ? ['one-dag']
        : ['independent', 'dags', 'one-dag', 'packing']
  return {
    name,
    about,
    families,
    clairvoyant: 'learned-oracle',
    make: (instance, rng) => learnedPolicy(estimatorOf(instance), { name })(rng)
  }
}

function guarded(name: string, about: string, poison?: Poison, after = 0): PolicyEntry {
  return {
    name,
    about,
    families: [],
    continues: true,
    make: (_, rng) => {
      const clock = { ends: 0, started: false }
      return selfChoosing({
        name,
        rng,
        safe: { name: 'least-loaded', factory: policyFactory('least-loaded') },
        challenger: {
          name: 'learned',
          factory: (estimator, learns) => learnedPolicy(estimator, { learns })
        },
        // Replays are poisoned with what is in use: in a cluster both predict with the model of the log.
        estimator: () => (poison === undefined ? untrained() : poisonedLate(poison, after, clock))
      })
    }
  }
}

/** An estimator that misleads from the `after`th end on that the first of its clock heard of. */
function poisonedLate(poison: Poison, after: number, clock: { ends: number; started: boolean }): Estimator {
  const estimator = poisoned(untrained(), poison, () => clock.ends >= after)
  if (clock.started) return estimator
  clock.started = true
  return {
    ...estimator,
    observe: (feedback) => {
      clock.ends++
      estimator.observe(feedback)
    }
  }
}

/** What the guard keeps away: the learned policy on poisoned predictions. */
function misled(poison: Poison): PolicyEntry {
  const name = `learned-${poison}`
  return {
    name,
    about: `the learned policy on ${poison} predictions`,
    families: [],
    continues: true,
    make: (_, rng) => learnedPolicy(poisoned(untrained(), poison), { name })(rng)
  }
}

function shortest(name: string, about: string, estimatorOf: (instance: Instance) => Estimator): PolicyEntry {
  return {
    name,
    about,
    families: name === 'sjf-last2-limit' ? [] : ['independent', 'packing'],
    clairvoyant: 'sjf-oracle',
    make: (instance) => shortestFirst({ name, estimator: estimatorOf(instance) })
  }
}

function backfilling(
  name: string,
  about: string,
  shortestFirstToo: boolean,
  estimatorOf: (instance: Instance) => Estimator,
  clairvoyant: string
): PolicyEntry {
  return {
    name,
    about,
    families: [],
    clairvoyant,
    make: (instance) => easy({ name, estimator: estimatorOf(instance), shortestFirst: shortestFirstToo })
  }
}

function planned(
  algorithm: 'heft' | 'cpop' | 'peft',
  knowledge: string,
  estimatorOf: (instance: Instance) => Estimator
): PolicyEntry {
  const name = `${algorithm}-${knowledge}`
  return {
    name,
    about: `${algorithm} plan, ${knowledge} durations`,
    families: ['one-dag'],
    clairvoyant: `${algorithm}-oracle`,
    make: (instance) => staticDag(algorithm, { name, estimator: estimatorOf(instance) })
  }
}

function decided(
  rule: 'heft-greedy' | 'heft-dynamic',
  knowledge: string,
  estimatorOf: (instance: Instance) => Estimator,
  greedy: boolean
): PolicyEntry {
  const name = `${rule}-${knowledge}`
  return {
    name,
    about: `upward rank, earliest finish over ${greedy ? 'free' : 'all'} nodes, ${knowledge} durations`,
    families: ['one-dag'],
    clairvoyant: `${rule}-oracle`,
    make: (instance) => dynamicHeft({ name, estimator: estimatorOf(instance), greedy })
  }
}

/**
 * What tasks that have not ended are taken to run in a replay: drawn from what tasks like them took (hot-deck imputation,
 * Rubin 1987).
 *
 * 1. Like it are tasks of its class (tenant, name, limit, resources, octave of the input's size); when fewer than
 *    `FEWEST_LIKE` of these have ended, those of its name, else of its tenant, else all. With five, a quantile is off by a
 *    fifth at most, and a class is known long before the more general ones have buried it.
 * 2. What has ended of a class are the shorter ones first. So its members that still run count as what they are, longer than
 *    their age (`survival.ts`), and one that runs is drawn from those that lasted longer than it has.
 * 3. An attempt takes no longer than its limit, and no less than its age.
 * 4. Times are of a node of speed 1, as in `replay.ts`. All ended tasks count, those of the stretch as well: they say what
 *    work there is, not what could be known of it, which is what estimators begin with.
 * 5. A draw goes by the task's id. Contenders meet the same work, and so do replays that follow each other.
 *
 * Run times of one class are drawn independently. What siblings of one burst have in common is lost, so what is foreseen of
 * them beyond their class counts for nothing (`recent.ts`).
 */
import type { NodeId } from '../../base/ids.ts'
import { uniform } from '../sim/draw.ts'
import type { ArrivedTask, FinishedTask } from './history.ts'
import type { Pace } from './paced.ts'
import { Survival } from './survival.ts'
import type { UnendedTask } from './unended.ts'

const FEWEST_LIKE = 5
const SEED = 0xd2a3

/** From the most like to less; if none of these is enough, all are like it. */
const KINDS: readonly ((task: ArrivedTask) => string)[] = [
  (task) =>
    `${task.tenant}\n${task.name}\n${task.limitMs}\n${octaveOf(task.inputBytes)}\n${resourcesOf(task)}`,
  ({ name }) => name,
  ({ tenant }) => tenant
]

interface Like {
  readonly over: number[]
  readonly open: number[]
  survival: Survival | undefined
}

/** Gives the work of a task that has not ended, in milliseconds at speed 1. */
export function runTimeDraw(
  ended: readonly FinishedTask[],
  unended: readonly UnendedTask[],
  speeds: ReadonlyMap<NodeId, number>,
  pace: Pace = () => undefined
): (task: UnendedTask) => number {
  const speedOf = (node: NodeId): number => speeds.get(node) ?? 1
  const ageOf = ({ running }: UnendedTask): number =>
    running === undefined ? 0 : running.forMs * speedOf(running.node)
  const levels = KINDS.map((keyOf) => ({ keyOf, likes: new Map<string, Like>() }))
  const all = nothingLike()
  const each = (task: ArrivedTask, note: (like: Like) => void): void => {
    pace()
    for (const { keyOf, likes } of levels) note(likeIn(likes, keyOf(task)))
    note(all)
  }
  for (const task of ended) each(task, ({ over }) => over.push(task.runMs * speedOf(task.node)))
  for (const task of unended) if (task.running !== undefined) each(task, ({ open }) => open.push(ageOf(task)))
  const survivalOf = (task: UnendedTask): Survival => {
    const known = levels.flatMap(({ keyOf, likes }) => likes.get(keyOf(task)) ?? [])
    const like = known.find(({ over }) => over.length >= FEWEST_LIKE) ?? all
    return (like.survival ??= new Survival(like.over, like.open))
  }
  return (task) => {
    pace()
    const age = ageOf(task)
    const drawn = survivalOf(task).lasts(age, uniform(SEED, task.id, 1, 0))
    const speed = task.running === undefined ? 1 : speedOf(task.running.node)
    return task.limitMs > 0 ? Math.max(age, Math.min(drawn, task.limitMs * speed)) : drawn
  }
}

function likeIn(likes: Map<string, Like>, key: string): Like {
  const known = likes.get(key)
  if (known !== undefined) return known
  const like = nothingLike()
  likes.set(key, like)
  return like
}

function nothingLike(): Like {
  return { over: [], open: [], survival: undefined }
}

function resourcesOf({ resources }: ArrivedTask): string {
  const names = Object.keys(resources)
  if (names.length > 1) names.sort()
  return names.map((name) => `${name} ${resources[name] ?? 0}`).join()
}

/** Sizes of one octave differ by less than a factor of two. */
function octaveOf(bytes: number): number {
  return Math.floor(Math.log2(bytes + 1))
}

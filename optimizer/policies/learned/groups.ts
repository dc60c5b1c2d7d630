/**
 * Several DAGs on nodes that are alike: least predicted work left first, each group within a share of the slots that follows from its
 * predicted speed-up (`parallelism.ts`).
 *
 * 1. Larger `priority` first; among equals the group with the least work left that is below its share.
 * 2. Where a cold start costs more than going on (`groups-warmth.ts`, learned; nodes are chosen in `groups-nodes.ts`):
 *    - A node goes on with its stage, else with its group, as long as the group holds little more than its share.
 *    - A stage gets another node only if that node, cold, would be through its first task before the nodes that the stage has could
 *      begin its last one.
 *    - A group below its share keeps nodes that wait for its next stage, as long as that pays.
 * 3. The earliest group may always hold a tenth of the slots once it has waited out of proportion to its work, and goes before independent
 *    tasks.
 * 4. Work of classes that were never seen is scaled by what the group's attempts took in relation to what was expected of them.
 * 5. The first task of each shape of a stage is tried (`groups-lines.ts`), so what fits nowhere now holds up nothing else. What no node
 *    could run counts as if it did not wait until nodes change, and a group that has nothing else holds no share.
 *
 * A decision costs O(groups × stages + shapes of a stage, at most `TRIED`, × nodes); shares and work are counted again when a group comes, goes or has a tenth done,
 * and when as much was heard as an eighth of its stages.
 */
import type { NodeId, TaskId } from '../../../base/ids.ts'
import { timestampMs } from '../../../base/units.ts'
import type { TimestampMs } from '../../../base/units.ts'
import type { AttemptFeedback, ClusterView, NodeView, TaskView } from '../../../scheduler/policy.ts'
import type { Estimator } from '../../estimate.ts'
import { takes } from '../node-rules.ts'
import type { GroupQueue } from './group-queue.ts'
import { firstOf, NO_ROOM, type Search } from './groups-lines.ts'
import { firstStageOf, GroupTable, prioritiesOf, topPriorityOf } from './groups-table.ts'
import type { Group, Home, Stage } from './groups-table.ts'
import { GroupNodes } from './groups-nodes.ts'
import type { OpenNodes } from './groups-nodes.ts'
import { Warmth } from './groups-warmth.ts'
import type { Candidate } from './independent-queue.ts'
import { averageParallelism, shareOf } from './parallelism.ts'

/** A node stays with a group that holds up to so many times its share: moving it costs time. */
const STAY = 1.3
/** Work and parallelism of a group are counted again when so much of it is done … */
const RECOUNT = 0.9
/** … and when so much was heard of any class, in relation to the number of groups: what is learned of one stage says something of others. */
const NEWS = 1 / 16
/** … or to its number of stages, each of which it takes a look at. */
const NEWS_OF_STAGES = 1 / 8
/** A group that waited so many times what it would take alone on all slots is owed a place. */
const PATIENCE = 30
const OWED_SHARE = 0.1
/** How often a decision that finds nothing goes on with lines that it left out: the next one may be a leader's tick away. */
const TURNS = 10
/** Keeps a ratio of sums of times finite. */
const PRIOR_MS = 1

export class SharedGroups implements GroupQueue {
  readonly #warmth: Warmth
  readonly #table: GroupTable
  readonly #nodes: GroupNodes
  readonly #endsAt = new Map<TaskId, number>()
  /** Groups by rising work left, as of the last count. */
  #order: Group[] = []
  #stale = true
  #slots = 1
  /** Nodes that were freed and may go on with what they had. */
  #freed: NodeId[] = []
  #waiting = 0
  /** Which lines were asked in vain. */
  readonly #search: Search = { id: 0, room: 0, unfinished: false }
  /** `quiet`: nothing can be placed until something changes. `searching`: as far as was looked, which the next decision goes on with. */
  #found: 'anything' | 'searching' | 'quiet' = 'anything'

  constructor(estimator: Estimator) {
    this.#warmth = new Warmth(estimator)
    this.#table = new GroupTable((task) => this.#warmth.classOf(task))
    this.#nodes = new GroupNodes(estimator, this.#warmth, this.#table)
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Groups, tasks that are not over and attempts that run: what memory grows with. */
  get remembered(): number {
    return this.#table.remembered + this.#endsAt.size + this.#warmth.running
  }

  reset(view: ClusterView): void {
    this.#waiting = 0
    this.#table.clear()
    this.#warmth.reset()
    this.#endsAt.clear()
    this.#order = []
    this.#freed = []
    this.nodesChanged(view)
  }

  resume(task: TaskView, node: NodeId, placedAt: number, view: ClusterView): void {
    this.#table.discover(task, view)
    this.#started(task, node, placedAt)
  }

  add(task: TaskView, view: ClusterView): void {
    const home = this.#table.discover(task, view)
    const { group, stage, line } = home
    this.#takeBack(task.id, home)
    if (stage.lines.add(line, task, view)) this.#waits(home, 1)
    if (group.countedLeft === 0) this.#stale = true
    this.#found = 'anything'
  }

  gone(id: TaskId, node: NodeId | undefined, view: ClusterView): void {
    const home = this.#table.homeOf(id)
    if (home?.stage.lines.remove(home.line, id) !== true) return
    this.#waits(home, -1)
    const task = node === undefined ? undefined : view.task(id)
    if (node !== undefined && task !== undefined) this.#started(task, node, view.now)
  }

  ended({ task, node, end, runMs }: AttemptFeedback, view: ClusterView): void {
    this.#found = 'anything'
    this.#freed.push(node)
    this.#search.room++
    const home = this.#table.homeOf(task.id)
    if (home === undefined || !this.#release(task.id, home)) return
    const surprise = this.#warmth.ended(task, end === 'succeeded' ? runMs : undefined, view.now)
    if (surprise === undefined) return
    const { group } = home
    group.tookMs += surprise.heldMs
    group.expectedMs += surprise.expectedMs
    if (isPowerOfTwo(++group.ended)) this.#recount(group)
  }

  finished(id: TaskId): void {
    const home = this.#table.homeOf(id)
    const stage = home?.stage
    if (home !== undefined) this.#takeBack(id, home)
    const group = this.#table.finish(id)
    if (group === undefined) return
    this.#found = 'anything'
    if (stage?.left === 0 || group.left < RECOUNT * group.countedLeft) this.#stale = true
  }

  anew(): void {
    this.#warmth.anew()
    for (const group of this.#table.groups()) this.#recount(group)
    this.#stale = true
    this.#found = 'anything'
  }

  nodesChanged(view: ClusterView): void {
    this.#slots = view.nodes().reduce((sum, node) => sum + node.slots, 0)
    this.#warmth.keep(new Set(view.nodes().map(({ id }) => id)))
    this.#waiting = 0
    for (const group of this.#table.groups()) this.#reach(group, view)
    this.#stale = true
    this.#found = 'anything'
  }

  /** Rule 5: finds out anew which of the group's waiting tasks some node could run. */
  #reach(group: Group, view: ClusterView): void {
    group.waiting = 0
    group.stranded = 0
    for (const stage of group.stages) {
      stage.waiting = 0
      stage.lines.reach(view)
      for (const line of stage.lines.all()) this.#waits({ group, stage, line }, line.waiting.size)
    }
  }

  #waits({ group, stage, line }: Home, count: number): void {
    if (line.placeable === false) {
      group.stranded += count
      this.#stale = true
      return
    }
    stage.waiting += count
    group.waiting += count
    this.#waiting += count
  }

  peek(view: ClusterView): Candidate | undefined {
    if (this.#found === 'quiet') {
      if (view.now <= this.#nodes.againAt) return undefined
      this.#found = 'anything'
    }
    this.#warmth.decide()
    if (this.#stale) this.#count()
    if (this.#found === 'anything') {
      this.#search.id++
      this.#nodes.againAt = Infinity
    }
    let candidate = this.#look(view)
    for (let turn = 1; turn < TURNS && candidate === undefined && this.#search.unfinished; turn++)
      candidate = this.#look(view)
    this.#found = candidate !== undefined ? 'anything' : this.#search.unfinished ? 'searching' : 'quiet'
    return candidate
  }

  #look(view: ClusterView): Candidate | undefined {
    this.#search.unfinished = false
    const goesOn = this.#warmth.matters()
    if (this.#waiting === 0 || !goesOn) this.#freed = []
    if (this.#waiting === 0) return undefined
    const owed = this.#owed(view)
    const open = this.#nodes.open(view, owed)
    return (goesOn ? this.#goOn(open, view) : undefined) ?? this.#best(open, view)
  }

  /** At once, while lines are left that were not asked; else when waiting for a node does not pay any more, or a group is owed its turn. */
  wakeAt(view: ClusterView): TimestampMs | undefined {
    if (this.#found === 'searching') return view.now
    const { againAt } = this.#nodes
    // An estimator gone wrong is no reason to be woken at no time at all.
    if (this.#found !== 'quiet' || this.#waiting === 0 || !(againAt < Infinity)) return undefined
    if (!view.nodes().some(({ freeSlots }) => freeSlots > 0)) return undefined
    return timestampMs(Math.max(view.now, Math.floor(againAt) + 1))
  }

  #started(task: TaskView, node: NodeId, at: number): void {
    const home = this.#table.homeOf(task.id)
    if (home === undefined) return
    const { group, stage, line } = home
    const endsAt = at + this.#warmth.started(task, stage.known, node, at)
    this.#endsAt.set(task.id, endsAt)
    group.running++
    stage.running++
    stage.endsAt += endsAt
    line.running++
    line.endsAt += endsAt
    if (group.stranded > 0) this.#stale = true
  }

  /** Its placement was refused, or it was cancelled before the placement was applied: no attempt will end. */
  #takeBack(id: TaskId, home: Home): void {
    if (!this.#release(id, home)) return
    this.#warmth.drop(id)
    this.#search.room++
  }

  /** The task holds no slot any more. Returns whether it did. */
  #release(id: TaskId, { group, stage, line }: Home): boolean {
    const endsAt = this.#endsAt.get(id)
    if (endsAt === undefined) return false
    this.#endsAt.delete(id)
    group.running--
    stage.running--
    stage.endsAt -= endsAt
    line.running--
    line.endsAt -= endsAt
    if (group.stranded > 0) this.#stale = true
    return true
  }

  #count(): void {
    this.#stale = false
    const groups = [...this.#table.groups()]
    const { news } = this.#warmth
    for (const group of groups) {
      const mostNews = Math.max(NEWS * groups.length, NEWS_OF_STAGES * group.stages.length)
      const isRecent = group.left >= RECOUNT * group.countedLeft && news - group.countedNews < mostNews
      if (isRecent && group.countedLeft > 0) continue
      group.remainingMs = this.#remainingMs(group)
      group.parallelism = averageParallelism(group, this.#warmth)
      group.countedLeft = group.left
      group.countedNews = news
    }
    const among = groups.reduce((sum, group) => (isStranded(group) ? sum : sum + 1), 0)
    for (const group of groups) group.share = shareOf(group.parallelism, this.#slots, among)
    this.#order = groups.sort((a, b) => a.remainingMs - b.remainingMs || a.id - b.id)
  }

  #recount(group: Group): void {
    group.countedLeft = Infinity
    this.#stale = true
  }

  /** Rule 4. */
  #remainingMs(group: Group): number {
    const unlike = (group.tookMs + PRIOR_MS) / (group.expectedMs + PRIOR_MS)
    let total = 0
    for (const stage of group.stages) {
      if (stage.left === 0) continue
      const factor = stage.known.ended > 0 ? 1 : unlike
      total += stage.left * this.#warmth.typicalMs(stage.sample, stage.known) * factor
    }
    return total
  }

  /** Rule 2: a task for a node that was freed, of the group that it ran last. */
  #goOn(open: OpenNodes, view: ClusterView): Candidate | undefined {
    while (this.#freed.length > 0) {
      const id = this.#freed.at(-1) ?? (0 as NodeId)
      const node = view.node(id)
      const groupId = this.#warmth.groupOn(id)
      const group = groupId === undefined ? undefined : this.#table.group(groupId)
      if (node !== undefined && group !== undefined && this.#mayGoOn(group) && !open.slow.includes(node)) {
        const top = topPriorityOf(this.#order)
        const same = this.#table.stage(group.id, this.#warmth.stageOn(id) ?? '')
        const stage = same !== undefined && same.priority >= top ? same : firstStageOf(group, top)
        const candidate = stage === undefined ? undefined : this.#on(group, stage, node, open, view)
        if (candidate !== undefined) return candidate
      }
      this.#freed.pop()
    }
    return undefined
  }

  #mayGoOn(group: Group): boolean {
    return group.waiting > 0 && group.running < group.share * STAY
  }

  #best(open: OpenNodes, view: ClusterView): Candidate | undefined {
    if (open.quick.length === 0) return undefined
    const first = open.owed === undefined ? undefined : this.#forGroup(open.owed, -Infinity, open, view)
    if (first !== undefined) return first
    for (const priority of prioritiesOf(this.#order)) {
      for (const group of this.#order) {
        if (group.waiting === 0 || group.running >= group.share) continue
        const candidate = this.#forGroup(group, priority, open, view)
        if (candidate !== undefined) return candidate
      }
    }
    return undefined
  }

  /** Rule 3. */
  #owed(view: ClusterView): Group | undefined {
    const group = this.#earliest()
    if (group === undefined || group.waiting === 0) return undefined
    if (group.running >= Math.max(1, Math.floor(this.#slots * OWED_SHARE))) return undefined
    const owedAt = group.since + (PATIENCE * group.remainingMs) / this.#slots
    if (view.now > owedAt) return group
    this.#nodes.againAt = Math.min(this.#nodes.againAt, owedAt)
    return undefined
  }

  /** The table holds groups by arrival. */
  #earliest(): Group | undefined {
    for (const group of this.#table.groups()) if (group.waiting > 0 || group.stranded === 0) return group
    return undefined
  }

  #forGroup(group: Group, priority: number, open: OpenNodes, view: ClusterView): Candidate | undefined {
    for (const stage of group.stages) {
      if (stage.waiting === 0 || stage.priority < priority) continue
      const candidate = stage.lines.ask(this.#search, (line) =>
        this.#forLine({ group, stage, line }, open, view)
      )
      if (candidate !== undefined) return candidate
    }
    return undefined
  }

  #forLine(home: Home, open: OpenNodes, view: ClusterView): Candidate | typeof NO_ROOM | undefined {
    const task = firstOf(home.line, view)
    if (task === undefined) return undefined
    const node = this.#nodes.choose(home, task, open, view)
    return node === undefined || node === NO_ROOM ? node : candidateOf(home, task, node, open)
  }

  #on(group: Group, stage: Stage, node: NodeView, open: OpenNodes, view: ClusterView): Candidate | undefined {
    for (const line of stage.lines.next(this.#search)) {
      const task = firstOf(line, view)
      if (task === undefined || task.lastFailedOn === node.id) continue
      if (takes(task, node, view)) return candidateOf({ group, stage, line }, task, node, open)
    }
    return undefined
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0
}

/** Rule 5. */
function isStranded({ stranded, waiting, running }: Group): boolean {
  return stranded > 0 && waiting === 0 && running === 0
}

/** Independent tasks do not come before a group that is owed its turn. */
function candidateOf({ group, stage }: Home, task: TaskView, node: NodeView, { owed }: OpenNodes): Candidate {
  const areaMs = group === owed ? 0 : group.remainingMs
  return { taskId: task.id, node: node.id, priority: stage.priority, areaMs }
}

/** The node's figures as Prometheus text. Read from the runtime when scraped; nothing is counted twice. */
import { Counter, Gauge, Registry } from 'prom-client'
import { inTurns } from '../../optimizer/advice/steps.ts'
import type { Learning } from '../optimizer/learning.ts'
import type { NodeMetrics, NodeRuntime } from '../../runtime/node-runtime.ts'

export interface NodeMetricsPage {
  render(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** What one scrape reads. */
interface Sources {
  readonly runtime: NodeRuntime
  readonly metrics: NodeMetrics
  readonly learning: Learning
  readonly estimator: ReturnType<Learning['estimator']['status']>
}

type Figure = readonly [name: string, help: string, read: (sources: Sources) => number | undefined]

/** Names end in their unit; `_total` only rises. What reads undefined is left out. */
const FIGURES: readonly Figure[] = [
  ['dtss_raft_term', 'Current Raft term', ({ runtime: r }) => r.raftStatus().hardState.term],
  ['dtss_raft_commit_index', 'Highest committed log index', ({ runtime: r }) => r.committed],
  ['dtss_raft_applied_index', 'Highest applied log index', ({ runtime: r }) => r.appliedIndex],
  ['dtss_raft_is_leader', '1 while this node leads', ({ runtime: r }) => (r.reigning ? 1 : 0)],
  ['dtss_raft_turns_total', 'Raft turns run', ({ metrics: m }) => m.turns],
  [
    'dtss_raft_longest_turn_seconds',
    'Longest raft turn since the start',
    ({ metrics: m }) => m.longestTurnMs / 1000
  ],
  ['dtss_raft_dropped_frames_total', 'Frames that did not decode', ({ metrics: m }) => m.droppedFrames],
  ['dtss_wal_syncs_total', 'Writes that waited for the disk', ({ metrics: m }) => m.wal.syncs],
  ['dtss_wal_written_bytes_total', 'Bytes handed to the disk', ({ metrics: m }) => m.wal.bytesWritten],
  [
    'dtss_wal_sync_p99_seconds',
    'p99 of the last 1,024 log writes',
    ({ metrics: m }) => m.wal.syncMs.p99 / 1000
  ],
  ['dtss_wal_segments', 'Segments of the log', ({ metrics: m }) => m.wal.segments],
  ['dtss_tasks_live', 'Tasks that have not ended', ({ runtime: r }) => r.state.tasks.size],
  ['dtss_tasks_ready', 'Tasks that wait for a slot', ({ runtime: r }) => r.state.ready.size],
  ['dtss_tasks_kept', 'Ended tasks that have not retired', ({ runtime: r }) => r.state.tombstones.size],
  ['dtss_attempts_running', 'Attempts running on this node', ({ metrics: m }) => m.running],
  ['dtss_proposals_outstanding', 'Proposals that wait for their outcome', ({ metrics: m }) => m.outstanding],
  [
    'dtss_policy_decisions',
    'Latest decisions that are measured',
    ({ runtime: r }) => r.policyStatus.decisions.count
  ],
  [
    'dtss_policy_decision_p50_seconds',
    'p50 of the latest decisions of this leader',
    ({ runtime: r }) => r.policyStatus.decisions.p50Us / 1e6
  ],
  [
    'dtss_policy_decision_p99_seconds',
    'p99 of the latest decisions of this leader',
    ({ runtime: r }) => r.policyStatus.decisions.p99Us / 1e6
  ],
  [
    'dtss_policy_failures_total',
    'Policies that failed and were replaced',
    ({ runtime: r }) => r.policyStatus.failures
  ],
  [
    'dtss_predictions_scored_total',
    'Predictions that were compared with what came',
    ({ estimator: e }) => e.outcomes
  ],
  ['dtss_prediction_error_ln', 'Mean absolute error of ln(run time), rolling', ({ estimator: e }) => e.maeLn],
  [
    'dtss_prediction_coverage_p90',
    'Share of run times at or below the predicted p90',
    ({ estimator: e }) => e.coverage90
  ],
  [
    'dtss_prediction_coverage_p99',
    'Share of run times at or below the predicted p99',
    ({ estimator: e }) => e.coverage99
  ],
  [
    'dtss_prediction_log_score',
    'Mean ln likelihood of run times under the predictions, rolling',
    ({ estimator: e }) => e.logScore
  ],
  [
    'dtss_prediction_statistics_log_score',
    'The same under plain class statistics',
    ({ estimator: e }) => e.statisticsLogScore
  ],
  ['dtss_prediction_classes', 'Classes that are told apart', ({ estimator: e }) => e.classes],
  [
    'dtss_prediction_drifting_classes',
    'Classes whose run times have shifted',
    ({ estimator: e }) => e.driftingClasses
  ],
  [
    'dtss_model_serving_version',
    'Version of the model that predicts; 0 for none',
    ({ learning: l }) => l.book.serving?.version ?? 0
  ],
  [
    'dtss_model_shadow_version',
    'Version of the model on trial; 0 for none',
    ({ learning: l }) => l.book.shadow?.version ?? 0
  ],
  [
    'dtss_model_shadow_scored',
    'Attempts that the shadow was scored on',
    ({ learning: l }) => l.guard.shadowScored
  ],
  [
    'dtss_model_promotions_total',
    'Models that this node promoted as a leader',
    ({ learning: l }) => l.guard.counts.promote
  ],
  [
    'dtss_model_rejections_total',
    'Models that this node rejected as a leader',
    ({ learning: l }) => l.guard.counts.reject
  ],
  [
    'dtss_model_rollbacks_total',
    'Models that this node rolled back as a leader',
    ({ learning: l }) => l.guard.counts['roll-back']
  ],
  [
    'dtss_policy_switches_total',
    'Changes of policy that this node asked for as a leader, in mode auto',
    ({ learning: l }) => l.policyWatch.changes
  ],
  ['dtss_model_alarms', 'Alarms about models and the policy', ({ learning: l }) => l.alarms().length],
  ['dtss_trainer_running', '1 while this node trains', ({ learning: l }) => (l.trainer.running ? 1 : 0)],
  [
    'dtss_trainer_cpu_share',
    'Of one core, over the last minute, replays and judgements included',
    ({ learning: l }) => l.trainer.progress?.cpuShare ?? 0
  ],
  [
    'dtss_trainer_peak_cpu_share',
    'Of one core, the most over any ten seconds of the training under way, replays and judgements included',
    ({ learning: l }) => l.trainer.progress?.peakCpuShare ?? 0
  ],
  [
    'dtss_trainer_steps',
    'Steps of the training under way',
    ({ learning: l }) => l.trainer.progress?.steps ?? 0
  ],
  ['dtss_trainer_rows', 'Training rows that this node keeps', ({ learning: l }) => l.rows],
  [
    'dtss_learning_beat_failures_total',
    'Looks of the optimizer at what is due that failed',
    ({ learning: l }) => l.faults.beats
  ],
  [
    'dtss_learning_refused_proposals_total',
    'Models, verdicts and changes of policy that the log did not take',
    ({ learning: l }) => l.faults.proposals
  ],
  [
    'dtss_learning_skipped_rows_total',
    'Rows of history, and events, that could not be learned from',
    ({ learning: l }) => l.faults.history
  ],
  ['dtss_trainer_failures_total', 'Training threads that failed', ({ learning: l }) => l.trainer.restarts]
]

/** `now`: the wall clock, in milliseconds. */
export function createMetrics(runtime: NodeRuntime, learning: Learning, now: () => number): NodeMetricsPage {
  const registry = new Registry()
  const registers = [registry]
  // Read once a scrape: percentiles are worked out anew each time.
  let current = sourcesOf(runtime, learning)
  addAlarms(registry, learning, now)
  for (const [name, help, read] of FIGURES) {
    if (name.endsWith('_total')) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset()
          this.inc(read(current) ?? 0)
        }
      })
    } else {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          const value = read(current)
          if (value === undefined) this.remove()
          else this.set(value)
        }
      })
    }
  }
  return {
    render: async () => {
      current = sourcesOf(runtime, learning)
      return { contentType: registry.contentType, text: await registry.metrics() }
    }
  }
}

/** No forecast is made for a scrape: it costs up to seconds of the node's time. */
function addAlarms(registry: Registry, learning: Learning, now: () => number): void {
  const registers = [registry]
  new Gauge({
    name: 'dtss_alarms',
    help:
      'Alarms that stand as this node sees it, by kind; those about tasks are counted at most every 5 s; deadline_at_risk is by ' +
      'the last forecast, which is made when somebody asks (GET /v1/alarms) and as old as dtss_forecast_age_seconds says',
    labelNames: ['kind'],
    registers,
    async collect() {
      const counted = learning.advisor.alarmCountsInSteps(now())
      const { atRisk, missed, stuck } = await inTurns(counted, (callback) => setImmediate(callback))
      const own = learning.alarms()
      this.set({ kind: 'deadline_at_risk' }, atRisk)
      this.set({ kind: 'deadline_missed' }, missed)
      this.set({ kind: 'stuck' }, stuck)
      for (const kind of ['model', 'policy'] as const)
        this.set({ kind }, own.filter((alarm) => alarm.kind === kind).length)
    }
  })
  new Gauge({
    name: 'dtss_forecast_age_seconds',
    help: 'Since the present that the last forecast is of; left out before the first',
    registers,
    collect() {
      const { forecastAt } = learning.advisor
      if (forecastAt === undefined) this.remove()
      else this.set(Math.max(0, now() - forecastAt) / 1000)
    }
  })
}

function sourcesOf(runtime: NodeRuntime, learning: Learning): Sources {
  return { runtime, learning, metrics: runtime.metrics(), estimator: learning.estimator.status() }
}

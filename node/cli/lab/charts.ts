/** Draws a report's plots as SVG text with echarts' server-side renderer: no DOM, no canvas, no network. */
import { init } from 'echarts'
import type { EChartsOption } from 'echarts'
import type { Curve, GanttBar, PlotData } from '../../../optimizer/lab/plot-data.ts'

export interface Chart {
  /** File name without extension. */
  readonly id: string
  readonly title: string
  readonly svg: string
}

const WIDTH = 920
const HEIGHT = 420
/** Of an entry of a legend. */
const ROW = 24
/** Colours that stay apart for readers with colour blindness (Okabe & Ito, 2008), then their darker kin. */
const PALETTE = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#4d4d4d',
  '#a6761d',
  '#7570b3',
  '#66a61e'
]

/** Between what a label belongs to and the label. */
const LABEL_GAP = 6

/** In turn, where there are more curves than colours. */
const DASHES = ['solid', 'dashed', 'dotted'] as const

/** All plots for which there is data. */
export function drawCharts(data: PlotData): Chart[] {
  return [
    chart(
      'jct',
      'Job completion time',
      lines(data.jct, 'completion time, s', 'share of units', true),
      data.jct.length
    ),
    chart(
      'utilisation',
      'Utilisation over time',
      lines(data.utilisation, 'time, s', 'share of capacity', false),
      data.utilisation.length
    ),
    ...(data.gaps.length === 0
      ? []
      : [chart('gap', 'Gap closed to the clairvoyant run', gapBars(data.gaps), data.gaps.length)]),
    ...data.gantt.map(({ policy, bars }, index) =>
      chart(
        `gantt-${index + 1}`,
        `Schedule of ${policy}: the ${bars.length} attempts that ended first`,
        gantt(bars)
      )
    ),
    ...(data.calibration.length === 0
      ? []
      : [chart('calibration', 'Calibration', calibration(data.calibration))])
  ]
}

/** `rows`: what must find room below each other, as entries of a legend or bars. */
function chart(id: string, title: string, option: EChartsOption, rows = 0): Chart {
  const height = Math.max(HEIGHT, GRID.top + GRID.bottom + rows * ROW)
  const drawing = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  drawing.setOption({ color: PALETTE, animation: false, backgroundColor: '#ffffff', ...option })
  const svg = drawing.renderToSVGString()
  drawing.dispose()
  return { id, title, svg }
}

const GRID = { left: 70, right: 190, top: 24, bottom: 50 }
const LEGEND = { orient: 'vertical', right: 8, top: 20 } as const

function axis(name: string): { name: string; nameLocation: 'middle'; nameGap: number } {
  return { name, nameLocation: 'middle', nameGap: 32 }
}

function lines(curves: readonly Curve[], x: string, y: string, logarithmic: boolean): EChartsOption {
  return {
    grid: GRID,
    legend: LEGEND,
    xAxis: logarithmic ? { type: 'log', ...axis(x) } : { type: 'value', ...axis(x) },
    yAxis: { type: 'value', min: 0, max: 1, ...axis(y) },
    series: curves.map(({ name, points }, index) => ({
      type: 'line',
      name,
      showSymbol: false,
      lineStyle: { width: 1.5, type: DASHES[Math.floor(index / PALETTE.length) % DASHES.length] ?? 'solid' },
      data: points.map(([at, value]) => [at, value])
    }))
  }
}

function gapBars(gaps: PlotData['gaps']): EChartsOption {
  return {
    grid: { ...GRID, left: 170, right: 40 },
    xAxis: { type: 'value', ...axis('share of the gap') },
    yAxis: {
      type: 'category',
      inverse: true,
      axisLabel: { interval: 0 },
      data: gaps.map(({ name }) => name)
    },
    series: [
      {
        type: 'bar',
        data: gaps.map(({ value }) => value)
      },
      {
        type: 'custom',
        data: gaps.map(({ low, high, value }, index) => [low, high, index, value]),
        // What axes must have room for.
        encode: { x: [0, 1], y: 2 },
        // Above the bars.
        z: 3,
        renderItem: (_params, api) => {
          const [low, high, row, value] = [0, 1, 2, 3].map((dimension) => Number(api.value(dimension)))
          const at = (x = 0): number => api.coord([x, row ?? 0])[0] ?? 0
          const y = api.coord([0, row ?? 0])[1] ?? 0
          const whisker = { x1: at(low), y1: y, x2: at(high), y2: y }
          // Beyond the bar and the whisker, which would strike it out.
          const x = at(Math.max(0, value ?? 0, high ?? 0)) + LABEL_GAP
          const label = {
            text: (value ?? 0).toFixed(2),
            x,
            y,
            verticalAlign: 'middle',
            fill: '#333333'
          } as const
          return {
            type: 'group',
            children: [
              { type: 'line', shape: whisker, style: { stroke: '#000000', lineWidth: 2 } },
              { type: 'text', style: label }
            ]
          }
        }
      }
    ]
  }
}

function gantt(bars: readonly GanttBar[]): EChartsOption {
  const names = [...new Set(bars.map(({ name }) => name))]
  const lanes = bars.reduce((most, { lane }) => Math.max(most, lane + 1), 0)
  const height = Math.max(1, (HEIGHT - GRID.top - GRID.bottom) / Math.max(1, lanes) - 1)
  return {
    grid: { ...GRID, right: 24 },
    xAxis: { type: 'value', ...axis('time, s') },
    yAxis: { type: 'value', min: 0, max: lanes, ...axis('lane') },
    series: [
      {
        type: 'custom',
        data: bars.map(({ lane, from, to, name }) => [lane, from, to, names.indexOf(name)]),
        encode: { x: [1, 2], y: 0 },
        renderItem: (_params, api) => {
          const start = api.coord([api.value(1), Number(api.value(0)) + 1])
          const end = api.coord([api.value(2), Number(api.value(0)) + 1])
          return {
            type: 'rect',
            shape: {
              x: start[0] ?? 0,
              y: start[1] ?? 0,
              width: Math.max(0.5, (end[0] ?? 0) - (start[0] ?? 0)),
              height
            },
            style: { fill: PALETTE[Number(api.value(3)) % PALETTE.length] ?? '#000000' }
          }
        }
      }
    ]
  }
}

function calibration(curves: readonly Curve[]): EChartsOption {
  const perfect: Curve = {
    name: 'perfect',
    points: [
      [0, 0],
      [1, 1]
    ]
  }
  const option = lines([...curves, perfect], 'predicted level', 'share observed at or below', false)
  return { ...option, xAxis: { type: 'value', min: 0, max: 1, ...axis('predicted level') } }
}

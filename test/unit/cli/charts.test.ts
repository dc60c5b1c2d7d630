import { expect, test } from 'vitest'
import { drawCharts } from '../../../node/cli/lab/charts.ts'
import type { PlotData } from '../../../optimizer/lab/plot-data.ts'

const NOTHING: PlotData = { jct: [], gaps: [], utilisation: [], gantt: [], calibration: [] }

function drawn(id: string, data: Partial<PlotData>): string {
  return drawCharts({ ...NOTHING, ...data }).find((chart) => chart.id === id)?.svg ?? ''
}

/** What axes and legends say. */
function words(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, word = '']) => word)
}

test('the time axis of a schedule reaches from its first start to its last end', () => {
  const bars = [
    { lane: 0, from: 0, to: 400, name: 'a' },
    { lane: 1, from: 300, to: 1000, name: 'b' }
  ]
  const shown = words(drawn('gantt-1', { gantt: [{ policy: 'fifo', bars }] }))
  expect(shown).toEqual(expect.arrayContaining(['0', '200', '1,000', '2']))
})

test('the axis of gaps has room for what is sure of them', () => {
  const gaps = [
    { name: 'sure', value: 0.5, low: 0.4, high: 0.6 },
    { name: 'unsure', value: 0.5, low: -2, high: 3 }
  ]
  const shown = words(drawn('gap', { gaps }))
  expect(shown).toEqual(expect.arrayContaining(['-2', '3', 'sure', 'unsure']))
})

test('each of many policies is named, in a row of its own below the one before', () => {
  const names = Array.from({ length: 30 }, (_, index) => `policy-${index}`)
  const points = [
    [1, 0],
    [2, 1]
  ] as const
  const svg = drawn('jct', { jct: names.map((name) => ({ name, points })) })
  expect(words(svg)).toEqual(expect.arrayContaining(names))
  const places = names.map((name) => {
    const [, x, y] = new RegExp(`translate\\(([\\d.]+) ([\\d.]+)\\)[^>]*>${name}<`).exec(svg) ?? []
    return [Number(x), Number(y)]
  })
  expect(new Set(places.map(([x]) => x)).size).toBe(1)
  expect(places.map(([, y]) => y)).toEqual(places.map(([, y]) => y).sort((a = 0, b = 0) => a - b))
  expect(svg).toMatch(/stroke-dasharray/)
})

test('the value of a gap stands beside its whisker and its bar, not under them', () => {
  const placesOf = (value: number, low: number, high: number): number[] => {
    const svg = drawn('gap', { gaps: [{ name: 'p', value, low, high }] })
    const whisker = /<path d="M[\d.]+ [\d.]+L([\d.]+) [\d.]+" [^>]*stroke="#000000"/.exec(svg)
    const label = new RegExp(`<text [^>]*x="([\\d.]+)"[^>]*>${value.toFixed(2)}<`).exec(svg)
    // What comes later in the file is drawn over what came before.
    expect(svg.lastIndexOf('fill="#0072b2"')).toBeLessThan(whisker?.index ?? 0)
    return [whisker, label].map((found) => Number(found?.[1]))
  }
  const [end = 0, label = 0] = placesOf(0.5, 0.2, 0.8)
  expect(label).toBeCloseTo(end + 6)
  // A bar to the left of zero ends there.
  const [endBelow = 0, labelBelow = 0] = placesOf(-0.5, -0.8, -0.2)
  expect(labelBelow).toBeGreaterThan(endBelow + 6)
})

/** Charts of a run's metrics, that grow while it goes on. */
import { useMemo, useRef } from 'react';
import { Metrics, Point, RunDetail, TERMINAL } from '../api/types';
import { LineChart } from '../charts/chart';
import { curvesOf } from '../charts/points';
import { Model } from '../model';
import { ErrorBox } from '../parts';
import { useLoad } from '../views/pieces';
import { useTold } from './use';

export function MetricCharts({ run, model }: { run: RunDetail; model: Model }) {
  const told = useTold(model, run.uid, !TERMINAL.has(run.state));
  const going = !TERMINAL.has(run.state);
  const known = useRef(new Map<string, Point>());
  const read = async (): Promise<Point[]> => {
    // while it goes on only what is new is asked for; at the end all, since a point may bear an earlier time
    const points = known.current;
    let since = '';
    if (going) {
      points.forEach(each => (since = each.time > since ? each.time : since));
    }
    const found = await model.client.get<Metrics>(`runs/${run.uid}/metrics`, { since });
    found.items.forEach(each => points.set(`${each.key}\n${each.step}\n${each.time}`, each));
    return [...points.values()];
  };
  const loaded = useLoad(read, [run.uid], told);
  const curves = useMemo(() => {
    const found = loaded.value ? [...curvesOf(loaded.value)] : [];
    // one point is a result, not a curve
    return found.filter(([, points]) => points.length > 1);
  }, [loaded.value]);
  return (
    <>
      {loaded.error && <ErrorBox error={loaded.error} retry={loaded.again} />}
      {curves.length > 0 && (
        <div className="mlrun-Charts">
          {curves.map(([name, points]) => (
            <LineChart key={name} title={name} series={[{ name, points }]} height={170} />
          ))}
        </div>
      )}
    </>
  );
}

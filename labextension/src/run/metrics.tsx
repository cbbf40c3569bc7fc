/** Charts of a run's metrics, that grow while it goes on. */
import { useMemo } from 'react';
import { Metrics, RunDetail, TERMINAL } from '../api/types';
import { LineChart } from '../charts/chart';
import { curvesOf } from '../charts/points';
import { Model } from '../model';
import { ErrorBox } from '../parts';
import { useLoad } from '../views/pieces';
import { useTold } from './use';

export function MetricCharts({ run, model }: { run: RunDetail; model: Model }) {
  const told = useTold(model, run.uid, !TERMINAL.has(run.state));
  const loaded = useLoad(() => model.client.get<Metrics>(`runs/${run.uid}/metrics`), [run.uid, told]);
  const curves = useMemo(() => {
    const found = loaded.value ? [...curvesOf(loaded.value.items)] : [];
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

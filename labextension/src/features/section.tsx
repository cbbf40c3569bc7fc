/** The section of feature sets and vectors. */
import { FeatureSummary } from '../api/types';
import { ago } from '../format';
import { Model } from '../model';
import { Filtered } from '../panel/filtered';
import { useTrans } from '../parts';

export function FeaturesSection({ model, open }: { model: Model; open(each: FeatureSummary): void }) {
  const trans = useTrans();
  return (
    <Filtered<FeatureSummary>
      label={trans.__('Features')}
      listing={model.features}
      height={44}
      takes={{ labels: true }}
      keyOf={each => `${each.kind}/${each.name}`}
      nameOf={each => each.name}
      open={open}
      empty={trans.__(
        'No features yet. Put %%mlrun features NAME --entity COLUMN on top of a cell that ends with a table.'
      )}
      draw={each => <FeatureRow feature={each} />}
    />
  );
}

function FeatureRow({ feature }: { feature: FeatureSummary }) {
  const trans = useTrans();
  const ofSet = feature.kind === 'feature-set';
  const what = ofSet
    ? [trans.__('set'), trans._n('%1 feature', '%1 features', feature.features), feature.entities.join(', ')]
    : [trans.__('vector'), trans._n('%1 reference', '%1 references', feature.features)];
  const second = feature.description || what.filter(Boolean).join(' · ');
  return (
    <>
      <span className="mlrun-Row-main">
        <span className="mlrun-Row-name" title={feature.uri}>
          {feature.name}
        </span>
        <span className="mlrun-Row-second" title={second}>
          {second}
        </span>
      </span>
      <span className="mlrun-Row-side">
        <span>
          {ofSet
            ? feature.version < 0
              ? trans.__('no rows')
              : trans.__('%1 rows', feature.rows.toLocaleString())
            : trans.__('vector')}
        </span>
        <span className="mlrun-Row-second">{ago(feature.updated || feature.created)}</span>
      </span>
    </>
  );
}

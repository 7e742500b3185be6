"""Model cards for the tests, as different versions of sentence-transformers write them; the texts are made up."""

# As 3.4.1 writes it after model.fit(): 76,608 rows, of which one column is "", "." or "..".
FITTED = """---
tags:
- sentence-transformers
- dataset_size:76608
- loss:CosineSimilarityLoss
base_model: sentence-transformers/all-MiniLM-L6-v2
widget:
- source_sentence: ..
  sentences:
  - "To see whether: a text with a colon is no key."
---

# SentenceTransformer based on sentence-transformers/all-MiniLM-L6-v2

## Model Details

### Model Description
- **Model Type:** Sentence Transformer
- **Base model:** [sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/x) <!-- at revision c9745ed1 -->
- **Maximum Sequence Length:** 256 tokens
- **Output Dimensionality:** 384 dimensions
- **Similarity Function:** Cosine Similarity
<!-- - **Language:** Unknown -->

### Full Model Architecture

```
SentenceTransformer(
  (0): Transformer({'max_seq_length': 256}) with Transformer model: BertModel
)
```

## Usage

```python
# Download from the Hub
model = SentenceTransformer("id")
```

<!--
### Training Logs
| Epoch | Step | Training Loss |
|:-----:|:----:|:-------------:|
| 9.0   | 9    | 9.0           |
-->

## Training Details

### Training Dataset

#### Unnamed Dataset

* Size: 76,608 training samples
* Columns: <code>sentence_0</code>, <code>sentence_1</code>, and <code>label</code>
* Approximate statistics based on the first 1000 samples:
  |         | sentence_0 | sentence_1 | label |
  |:--------|:-----------|:-----------|:------|
  | type    | string     | string     | float |
  | details | <ul><li>min: 2 tokens</li><li>mean: 3.49 tokens</li><li>max: 4 tokens</li></ul> | <ul><li>min: 18 tokens</li><li>mean: 92.53 tokens</li><li>max: 256 tokens</li></ul> | <ul><li>min: 0.0</li><li>mean: 0.5</li><li>max: 1.0</li></ul> |
* Samples:
  | sentence_0      | sentence_1                               | label            |
  |:----------------|:-----------------------------------------|:-----------------|
  | <code>..</code> | <code>A study of a drug in lupus.</code> | <code>0.0</code> |
  | <code>..</code> | <code>Why \\| not?</code>                | <code>0.0</code> |
  | <code>.</code>  | <code>Knee scores are long.</code>       | <code>1.0</code> |
* Loss: [<code>CosineSimilarityLoss</code>](https://sbert.net/docs/losses.html) with these parameters:
  ```json
  {
      "loss_fct": "torch.nn.modules.loss.MSELoss"
  }
  ```

### Training Hyperparameters
#### Non-Default Hyperparameters

- `per_device_train_batch_size`: 256
- `per_device_eval_batch_size`: 256
- `disable_tqdm`: False
- `multi_dataset_batch_sampler`: round_robin

#### All Hyperparameters
<details><summary>Click to expand</summary>

- `overwrite_output_dir`: False
- `per_device_train_batch_size`: 256
- `gradient_accumulation_steps`: 1
- `learning_rate`: 5e-05
- `weight_decay`: 0.0
- `max_grad_norm`: 1
- `num_train_epochs`: 3
- `max_steps`: -1
- `lr_scheduler_type`: linear
- `warmup_ratio`: 0.0
- `warmup_steps`: 0
- `seed`: 42
- `data_seed`: None
- `no_cuda`: False
- `optim`: adamw_torch
- `mp_parameters`:
- `disable_tqdm`: False
- `multi_dataset_batch_sampler`: round_robin

</details>

### Training Logs
| Epoch  | Step | Training Loss |
|:------:|:----:|:-------------:|
| 1.6667 | 500  | 0.3572        |


### Framework Versions
- Python: 3.11.11
- Sentence Transformers: 3.4.1
- Transformers: 4.51.1
"""

# As 5.x writes it: two named data sets, no labels, an evaluation, a best checkpoint in bold; no front matter.
RANKED = """# Somebody's model

### Model Description
- **Base model:** [acme/base](https://huggingface.co/acme/base)

## Evaluation

### Metrics

#### Information Retrieval

* Evaluated with <code>InformationRetrievalEvaluator</code>

| Metric              | Value      |
|:--------------------|:-----------|
| cosine_accuracy@1   | 0.7        |
| **cosine_ndcg@10**  | **0.8123** |

## Training Details

### Training Datasets

#### trivia

* Dataset: [trivia](https://huggingface.co/datasets/acme/trivia) at [abc1234](https://huggingface.co/datasets/acme/trivia/tree/abc1234)
* Size: 1,000 training samples
* Columns: <code>anchor</code> and <code>positive</code>
* Approximate statistics based on the first 1000 samples:
  |         | anchor | positive |
  |:--------|:-------|:---------|
  | type    | string | string   |
  | details | <ul><li>min: 8 characters</li><li>mean: 40.0 characters</li><li>max: 90 characters</li></ul> | |
* Loss: [<code>MultipleNegativesRankingLoss</code>](https://sbert.net) with these parameters:
  ```json
  {
      "scale": 20.0
  }
  ```

#### votes

* Dataset: [votes](https://huggingface.co/datasets/acme/votes)
* Size: 330 training samples
* Columns: <code>anchor</code>, <code>positive</code>, and <code>label</code>
* Approximate statistics based on the first 330 samples:
  |         | anchor | positive | label |
  |:--------|:-------|:---------|:------|
  | type    | string | string   | int   |
  | details |        |          | <ul><li>0: ~75.00%</li><li>1: ~25.00%</li></ul> |
* Loss: <code>acme.losses.OtherLoss</code>

### Evaluation Dataset

#### trivia

* Size: 50 evaluation samples
* Columns: <code>anchor</code> and <code>positive</code>
* Loss: <code>MultipleNegativesRankingLoss</code>

### Training Hyperparameters
#### Non-Default Hyperparameters

- `per_device_train_batch_size`: 16
- `num_train_epochs`: 2

### Training Logs
| Epoch   | Step    | Training Loss | trivia loss | ndcg@10  |
|:-------:|:-------:|:-------------:|:-----------:|:--------:|
| 0.5     | 42      | 2.0           | -           | -        |
| 1.0     | 84      | -             | 1.5         | 0.80     |
| **1.5** | **126** | **1.0**       | **1.4**     | **0.81** |
| 1.9     | 168     | 0.9           | nan         | -        |

* The bold row denotes the saved checkpoint.
"""

# As 2.x writes it: the call of fit() itself.
CALLED = """---
library_name: sentence-transformers
---

# {MODEL_NAME}

## Training
The model was trained with the parameters:

**DataLoader**:

`torch.utils.data.dataloader.DataLoader` of length 300 with parameters:
```
{'batch_size': 256, 'sampler': 'torch.utils.data.sampler.RandomSampler'}
```

**Loss**:

`sentence_transformers.losses.CosineSimilarityLoss.CosineSimilarityLoss`

Parameters of the fit()-Method:
```
{
    "epochs": 3,
    "evaluator": "NoneType",
    "optimizer_params": {
        "lr": 2e-05
    },
    "scheduler": "WarmupLinear",
    "warmup_steps": 100,
    "weight_decay": 0.01
}
```
"""

# As `engine train --method seed --reading printed` writes it: the columns and the sampler are those of fit().
OWN = FITTED.replace(
    "## Training Details",
    """## What Ran

Made by `engine train --method seed` (abstract-engine 0.1.0) from `sentence-transformers/all-MiniLM-L6-v2`; \
`training.json` has every setting and the SHA-256 of the training data.

* Rows: 76,608 of pairs; 900 steps of 256
* Optimizer and schedule: AdamW, learning rate 5e-05, weight decay 0, linear after a warm-up of 0 steps
* A logged loss is the mean of the steps since the line before, not the loss at that step

## Training Details""",
)

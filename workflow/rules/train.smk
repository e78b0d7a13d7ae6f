# A BigGAN trained from scratch: results/dataset, classifier, train, card. Asked for by name:
#   snakemake trained --config training="schedule.steps=20000"


rule dataset:
    input:
        parents("dataset"),
        code=code_of(BASE, "dataset"),
    output:
        training="results/dataset/{key}/training.safetensors",
        held_out="results/dataset/{key}/held_out.safetensors",
        record="results/dataset/{key}/record.json",
    log:
        "results/dataset/{key}/log.txt",
    benchmark:
        "results/dataset/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        job=job("dataset"),
    shell:
        RUN


rule classifier:
    input:
        parents("classifier"),
        code=code_of(BASE, "classifier"),
    output:
        classifier="results/classifier/{key}/classifier.safetensors",
        record="results/classifier/{key}/record.json",
    log:
        "results/classifier/{key}/log.txt",
    benchmark:
        "results/classifier/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        job=job("classifier"),
    shell:
        RUN


rule train:
    input:
        parents("train"),
        code=code_of(BASE, "train"),
    output:
        generator="results/train/{key}/generator.safetensors",
        losses="results/train/{key}/losses.csv",
        samples="results/train/{key}/samples.png",
        record="results/train/{key}/record.json",
    log:
        "results/train/{key}/log.txt",
    benchmark:
        "results/train/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(1440),
    params:
        job=job("train"),
    shell:
        RUN


rule card:
    input:
        parents("card"),
        code=code_of(BASE, "card"),
    output:
        card="results/card/{key}/card.md",
        samples="results/card/{key}/samples.png",
        curves="results/card/{key}/curves.png",
        quality="results/card/{key}/quality.csv",
        record="results/card/{key}/record.json",
    log:
        "results/card/{key}/log.txt",
    benchmark:
        "results/card/{key}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        gpu=1,
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        job=job("card"),
    shell:
        RUN


rule trained:
    input:
        training.card.record,
